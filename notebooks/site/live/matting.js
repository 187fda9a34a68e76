// The alpha matte: from three classes to an opacity for each pixel, which follows hair: petseg/inference/matting.py.

import { boxMean, clamp, eachPixel, enlarged, plane, probability, reader, shrunk, weightedMean, zeros } from "./planes.js";
import { distances, label } from "./regions.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {import("./resample.js").Pixels} Pixels */
/** @typedef {Record<"side" | "inner" | "outer" | "speck" | "window" | "epsilon" | "doubt" | "contrast" | "certain", number>} MatteSettings */

/**
 * The alpha matte of a photo, 0 background to 255 pet.
 * @param {Pixels} photo RGB
 * @param {Planes} logits of the whole photo
 * @param {MatteSettings} settings
 * @returns {Uint8Array}
 */
export function matte(photo, logits, settings) {
  const small = shrunk(photo, settings.side);
  const inside = silhouette(logits, small, settings.speck, settings.certain);
  const { lower, upper } = limits(inside, small, settings);
  painted(logits, small, settings.certain).forEach((name, i) => {
    if (name === 0) lower[i] = 1; // a person knows better than colours
    if (name === 1) upper[i] = 0;
  });
  const certainty = lower.map((least, i) => (least < upper[i] ? settings.doubt : 1));
  const radius = Math.max(1, Math.round(settings.window * Math.max(small.width, small.height)));
  const read = reader(colorFit(small, Float32Array.from(inside), certainty, radius, settings.epsilon));
  const [alpha, most] = [enlarged(lower, small, photo), enlarged(upper, small, photo)];
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] >= most[i]) continue; // outside the band the limits are alpha
    const [x, y] = [i % photo.width, Math.floor(i / photo.width)];
    const [red, green, blue, offset] = read((x + 0.5) / photo.width, (y + 0.5) / photo.height);
    const [r, g, b] = [photo.data[3 * i], photo.data[3 * i + 1], photo.data[3 * i + 2]];
    const value = offset + (red * r + green * g + blue * b) / 255;
    alpha[i] = Math.round(clamp(255 * (0.5 + settings.contrast * (value - 0.5)), alpha[i], most[i]));
  }
  return alpha;
}

/**
 * Where the pet is: pet is more likely than background, holes are closed and specks removed.
 * @param {Planes} logits
 * @param {Size} size
 * @param {number} speck
 * @param {number} certain
 */
export function silhouette(logits, size, speck, certain) {
  const inside = new Uint8Array(size.width * size.height);
  const background = new Float32Array(inside.length);
  eachPixel(logits, size, (values, i) => {
    inside[i] = Number(values[0] > values[1]);
    background[i] = probability(1, values);
  });
  const holes = label(inside.map((pet) => 1 - pet), size);
  const most = new Float32Array(holes.areas.length); // the most certain background of each hole
  holes.regions.forEach((hole, i) => (most[hole] = Math.max(most[hole], background[i])));
  if (inside.includes(1)) holes.regions.forEach((hole, i) => hole && most[hole] < 0.5 && (inside[i] = 1));
  const { regions, areas } = label(inside, size);
  const least = Math.max(1, speck * Math.max(...areas));
  const stays = areas.map((area) => area >= least);
  painted(logits, size, certain).forEach((name, i) => name === 0 && regions[i] && (stays[regions[i]] = true));
  return Uint8Array.from(regions, (region) => Number(stays[region]));
}

/**
 * Where a person painted keep (0) and where remove (1), as logits of `correctedLogits` say; -1 elsewhere.
 * @param {Planes} logits
 * @param {Size} size
 * @param {number} certain
 */
function painted(logits, size, certain) {
  const names = new Int8Array(size.width * size.height);
  eachPixel(logits, size, (values, i) => (names[i] = values.findIndex((value) => value > certain / 2)));
  return names;
}

/**
 * The smallest and the largest alpha that each pixel may have, 0 to 1.
 * @param {Uint8Array} inside
 * @param {Size} size
 * @param {MatteSettings} settings
 */
function limits(inside, size, { inner, outer }) {
  const [side, outside] = [Math.max(size.width, size.height), inside.map((pet) => 1 - pet)];
  const closing = (/** @type {number} */ distance) => clamp(2 * distance - 1, 0, 1);
  return {
    lower: distances(inside, size, inner * side + 1).map((pixels) => closing(pixels / (inner * side))),
    upper: distances(outside, size, outer * side + 1).map((pixels) => 1 - closing(pixels / (outer * side))),
  };
}

/**
 * Alpha as a linear function of colour around each pixel: the slope's three channels, and the offset.
 * @param {Planes} colors
 * @param {Float32Array} alpha
 * @param {Float32Array} weights
 * @param {number} radius
 * @param {number} epsilon
 */
function colorFit(colors, alpha, weights, radius, epsilon) {
  const channels = [plane(colors, 0), plane(colors, 1), plane(colors, 2), alpha];
  const mean = (/** @type {Float32Array} */ values) => weightedMean(values, weights, colors, radius);
  const average = channels.map(mean);
  const covariance = (/** @type {number} */ a, /** @type {number} */ b) =>
    mean(channels[a].map((value, i) => value * channels[b][i])).map((value, i) => value - average[a][i] * average[b][i]);
  const [rr, rg, rb, ra] = [0, 1, 2, 3].map((other) => covariance(0, other));
  const [gg, gb, ga] = [1, 2, 3].map((other) => covariance(1, other));
  const [bb, ba] = [2, 3].map((other) => covariance(2, other));
  const fit = zeros(4, colors.width, colors.height);
  for (let i = 0; i < alpha.length; i++) {
    // Cramer's rule for the symmetric matrix of covariances, whose adjugate has the upper triangle A to F
    const [a, b, c, d, e, f] = [rr[i] + epsilon, rg[i], rb[i], gg[i] + epsilon, gb[i], bb[i] + epsilon];
    const [A, B, C] = [d * f - e * e, c * e - b * f, b * e - c * d];
    const [D, E, F] = [a * f - c * c, b * c - a * e, a * d - b * b];
    const determinant = a * A + b * B + c * C;
    const red = (A * ra[i] + B * ga[i] + C * ba[i]) / determinant;
    const green = (B * ra[i] + D * ga[i] + E * ba[i]) / determinant;
    const blue = (C * ra[i] + E * ga[i] + F * ba[i]) / determinant;
    const offset = average[3][i] - red * average[0][i] - green * average[1][i] - blue * average[2][i];
    [red, green, blue, offset].forEach((value, index) => (fit.data[index * alpha.length + i] = value));
  }
  for (let index = 0; index < 4; index++) {
    plane(fit, index).set(boxMean(plane(fit, index), colors, radius)); // a pixel lies in many windows
  }
  return fit;
}
