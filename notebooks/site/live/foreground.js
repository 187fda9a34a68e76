// The pet's own colours without the old background, and the background without the pet: petseg/inference/foreground.py.

import { blurred, clamp, plane, reader, shrunk, weightedMean, zeros } from "./planes.js";
import { BILINEAR, resize } from "./resample.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {import("./resample.js").Pixels} Pixels */
/** @typedef {{side: number, windows: [number, number], tiny: number, blur: number}} ForegroundSettings */

/**
 * The pet with its own colours on a transparent background.
 * @param {Pixels} photo RGB
 * @param {Uint8Array} alpha
 * @param {ForegroundSettings} settings
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA; black where alpha is 0
 */
export function cutout(photo, alpha, settings) {
  const { front, back } = fused(shrunk(photo, settings.side), shrunkAlpha(photo, alpha, settings.side).data, settings);
  const [frontAt, backAt] = [reader(front), reader(back)];
  const result = new Uint8ClampedArray(4 * alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    if (!alpha[i]) continue;
    for (let c = 0; c < 3; c++) result[4 * i + c] = photo.data[3 * i + c];
    result[4 * i + 3] = alpha[i];
    if (alpha[i] === 255) continue;
    const [x, y] = [(i % photo.width) + 0.5, Math.floor(i / photo.width) + 0.5];
    const [pet, behind] = [frontAt, backAt].map((read) => read(x / photo.width, y / photo.height));
    for (let c = 0; c < 3; c++) {
      result[4 * i + c] = 255 * corrected(photo.data[3 * i + c] / 255, alpha[i] / 255, pet[c], behind[c]);
    }
  }
  return result;
}

/**
 * The photo's background, out of focus, without the pet.
 * @param {Pixels} photo RGB
 * @param {Uint8Array} alpha
 * @param {ForegroundSettings} settings
 * @returns {Pixels}
 */
export function blurredBackground(photo, alpha, settings) {
  const colors = shrunk(photo, settings.side);
  const { width, height } = colors;
  const weight = shrunkAlpha(photo, alpha, settings.side).data.map((value) => Number(value <= 0));
  if (!weight.includes(1)) weight.fill(1);
  const total = (/** @type {Float32Array} */ values) => values.reduce((sum, value) => sum + value, 0);
  const deviation = settings.blur * Math.max(width, height);
  const count = blurred(weight, colors, deviation);
  const data = new Uint8Array(3 * width * height);
  for (let c = 0; c < 3; c++) {
    const weighted = plane(colors, c).map((color, i) => color * weight[i]);
    const usual = total(weighted) / total(weight);
    blurred(weighted, colors, deviation).forEach((value, i) => {
      const mean = (value + settings.tiny * usual) / (count[i] + settings.tiny);
      data[3 * i + c] = Math.round(clamp(255 * mean, 0, 255));
    });
  }
  return resize({ data, width, height, channels: 3 }, photo.width, photo.height, BILINEAR);
}

/** The alpha matte of a copy of the photo. @param {Size} photo @param {Uint8Array} alpha @param {number} side the longest of the copy */
export function shrunkAlpha({ width, height }, alpha, side) {
  return shrunk({ data: alpha, width, height, channels: 1 }, side);
}

/**
 * Colours of both sides near each pixel.
 * @param {Planes} colors
 * @param {Float32Array} alpha
 * @param {ForegroundSettings} settings
 */
function fused(colors, alpha, { windows, tiny }) {
  let [front, back, estimate] = [colors, colors, colors];
  const { width, height } = colors;
  for (const window of windows) {
    const radius = Math.max(1, Math.round(window * Math.max(width, height)));
    const near = (/** @type {Planes} */ planes, /** @type {Float32Array} */ weights) => {
      const result = zeros(3, width, height);
      for (let c = 0; c < 3; c++) plane(result, c).set(weightedMean(plane(planes, c), weights, colors, radius, tiny));
      return result;
    };
    front = near(estimate, alpha);
    back = near(back, alpha.map((value) => 1 - value));
    estimate = zeros(3, width, height);
    for (let i = 0; i < estimate.data.length; i++) {
      estimate.data[i] = corrected(colors.data[i], alpha[i % alpha.length], front.data[i], back.data[i]);
    }
  }
  return { front, back };
}

/**
 * `front`, moved by what is missing to the photo's colour in the mixture, the more the larger alpha is.
 * @param {number} color
 * @param {number} alpha
 * @param {number} front
 * @param {number} back
 */
function corrected(color, alpha, front, back) {
  return clamp(front + alpha * (color - alpha * front - (1 - alpha) * back), 0, 1);
}
