// The alpha matte: from three classes to an opacity for each pixel, which follows hair: petseg/inference/matting.py.

import { boxMean, eachRow, enlarged, plane, positions, round, shrunk, zeros } from "./planes.js";
import { distances, label } from "./regions.js";
import { probability } from "./two_pass.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./resample.js").Pixels} Pixels */

/**
 * @typedef {object} MatteSettings
 * @property {number} side
 * @property {number} inner
 * @property {number} outer
 * @property {number} speck
 * @property {number} window
 * @property {number} epsilon
 * @property {number} doubt
 * @property {number} contrast
 */

/**
 * The alpha matte of a photo, 0 background to 255 pet.
 * @param {Pixels} photo RGB
 * @param {Planes} logits of the whole photo
 * @param {MatteSettings} settings
 * @returns {Uint8Array}
 */
export function matte(photo, logits, settings) {
  const small = shrunk(photo, settings.side);
  const inside = silhouette(logits, small.width, small.height, settings.speck);
  const { lower, upper } = limits(inside, small.width, small.height, settings);
  const certainty = lower.map((least, i) => (least < upper[i] ? settings.doubt : 1));
  const radius = Math.max(1, round(settings.window * Math.max(small.width, small.height)));
  const fit = colorFit(small, Float32Array.from(inside), certainty, radius, settings.epsilon);
  return applied(photo, fit, enlarged(lower, small, photo), enlarged(upper, small, photo), settings.contrast);
}

/**
 * Where the pet is: pet is more likely than background, holes are closed and specks removed.
 * @param {Planes} logits
 * @param {number} width
 * @param {number} height
 * @param {number} speck
 */
export function silhouette(logits, width, height, speck) {
  const inside = new Uint8Array(width * height);
  const background = new Float32Array(width * height);
  eachRow(logits, width, height, (row, y) => {
    for (let x = 0; x < width; x++) {
      inside[y * width + x] = Number(row[x] > row[width + x]);
      background[y * width + x] = probability(1, row, x, width);
    }
  });
  const holes = label(inside.map((pet) => 1 - pet), width, height);
  const most = new Float32Array(holes.count + 1); // the most certain background of each hole
  holes.regions.forEach((hole, i) => (most[hole] = Math.max(most[hole], background[i])));
  if (inside.includes(1)) holes.regions.forEach((hole, i) => hole && most[hole] < 0.5 && (inside[i] = 1));
  const { regions, areas } = label(inside, width, height);
  const least = Math.max(1, speck * Math.max(...areas));
  return Uint8Array.from(regions, (region) => Number(areas[region] >= least));
}

/**
 * The smallest and the largest alpha that each pixel may have, 0 to 1.
 * @param {Uint8Array} inside
 * @param {number} width
 * @param {number} height
 * @param {MatteSettings} settings
 */
function limits(inside, width, height, { inner, outer }) {
  if (!inside.includes(0) || !inside.includes(1)) {
    return { lower: Float32Array.from(inside), upper: Float32Array.from(inside) };
  }
  const side = Math.max(width, height);
  const closing = (/** @type {number} */ distance) => Math.min(1, Math.max(0, 2 * distance - 1));
  const depth = distances(inside, width, height);
  const distance = distances(inside.map((pet) => 1 - pet), width, height);
  return {
    lower: depth.map((pixels) => closing(pixels / (inner * side))),
    upper: distance.map((pixels) => 1 - closing(pixels / (outer * side))),
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
  const { width, height } = colors;
  const mean = (/** @type {Float32Array} */ values) => boxMean(values, width, height, radius);
  const channels = [plane(colors, 0), plane(colors, 1), plane(colors, 2), alpha];
  const total = mean(weights);
  const weighted = channels.map((channel) => product(weights, channel));
  const average = weighted.map((channel) => quotient(mean(channel), total));
  const covariance = (/** @type {number} */ a, /** @type {number} */ b) => {
    const moment = quotient(mean(product(weighted[a], channels[b])), total);
    for (let i = 0; i < moment.length; i++) moment[i] -= average[a][i] * average[b][i];
    return moment;
  };
  const [rr, rg, rb, ra] = [0, 1, 2, 3].map((other) => covariance(0, other));
  const [gg, gb, ga] = [1, 2, 3].map((other) => covariance(1, other));
  const [bb, ba] = [2, 3].map((other) => covariance(2, other));
  const fit = zeros(4, width, height);
  const [slope, right] = [new Float64Array(3), new Float64Array(3)];
  const [red, green, blue, offset] = [0, 1, 2, 3].map((index) => plane(fit, index));
  for (let i = 0; i < offset.length; i++) {
    right.set([ra[i], ga[i], ba[i]]);
    solve(rr[i] + epsilon, rg[i], rb[i], gg[i] + epsilon, gb[i], bb[i] + epsilon, right, slope);
    [red[i], green[i], blue[i]] = slope;
    offset[i] = average[3][i] - slope[0] * average[0][i] - slope[1] * average[1][i] - slope[2] * average[2][i];
  }
  for (const values of [red, green, blue, offset]) values.set(mean(values)); // a pixel lies in many windows
  return fit;
}

/** @param {Float32Array} one @param {Float32Array} other */
function product(one, other) {
  const result = new Float32Array(one.length);
  for (let i = 0; i < result.length; i++) result[i] = one[i] * other[i];
  return result;
}

/** Divides in place. @param {Float32Array} values @param {Float32Array} by */
function quotient(values, by) {
  for (let i = 0; i < values.length; i++) values[i] /= by[i];
  return values;
}

/**
 * Solves a symmetric system of three equations by Cramer's rule; a to f are its upper triangle, row by row.
 * @param {number} a @param {number} b @param {number} c @param {number} d @param {number} e @param {number} f
 * @param {Float64Array} right
 * @param {Float64Array} result
 */
function solve(a, b, c, d, e, f, [x, y, z], result) {
  const [A, B, C] = [d * f - e * e, c * e - b * f, b * e - c * d]; // the adjugate's upper triangle
  const [D, E, F] = [a * f - c * c, b * c - a * e, a * d - b * b];
  const determinant = a * A + b * B + c * C;
  result[0] = (A * x + B * y + C * z) / determinant;
  result[1] = (B * x + D * y + E * z) / determinant;
  result[2] = (C * x + E * y + F * z) / determinant;
}

/**
 * The fit at each pixel of the photo that lies in the band; everywhere else the limits are alpha.
 * @param {Pixels} photo
 * @param {Planes} fit
 * @param {Uint8Array} alpha the smallest, 0 to 255; becomes the result
 * @param {Uint8Array} most
 * @param {number} contrast
 */
function applied(photo, fit, alpha, most, contrast) {
  const near = reader(fit, photo);
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] >= most[i]) continue;
    const [red, green, blue, offset] = near(i % photo.width, Math.floor(i / photo.width));
    const [r, g, b] = [photo.data[3 * i], photo.data[3 * i + 1], photo.data[3 * i + 2]];
    const value = offset + (red * r + green * g + blue * b) / 255;
    alpha[i] = round(Math.min(most[i], Math.max(alpha[i], 255 * (0.5 + contrast * (value - 0.5)))));
  }
  return alpha;
}

/**
 * A function that reads planes at a pixel of the photo, bilinearly; its result is used again by the next call.
 * @param {Planes} planes
 * @param {{width: number, height: number}} photo
 */
export function reader(planes, photo) {
  const across = positions(planes.width, photo.width);
  const down = positions(planes.height, photo.height);
  const { data, width, channels } = planes;
  const size = width * planes.height;
  const result = new Float32Array(channels);
  return (/** @type {number} */ x, /** @type {number} */ y) => {
    const [left, right] = [across.before[x], across.after[x]];
    let [top, below] = [down.before[y] * width, down.after[y] * width];
    for (let c = 0; c < channels; c++, top += size, below += size) {
      const above = data[top + left] + across.part[x] * (data[top + right] - data[top + left]);
      const under = data[below + left] + across.part[x] * (data[below + right] - data[below + left]);
      result[c] = above + down.part[y] * (under - above);
    }
    return result;
  };
}
