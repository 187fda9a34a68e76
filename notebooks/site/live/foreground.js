// The pet's own colours without the old background, and the background without the pet: petseg/inference/foreground.py.

import { reader } from "./matting.js";
import { boxMean, plane, round, shrunk, zeros } from "./planes.js";
import { BILINEAR, resize } from "./resample.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./resample.js").Pixels} Pixels */

/**
 * @typedef {object} ForegroundSettings
 * @property {number} side
 * @property {[number, number]} windows
 * @property {number} tiny
 * @property {number} blur
 */

/**
 * The pet with its own colours on a transparent background.
 * @param {Pixels} photo RGB
 * @param {Uint8Array} alpha
 * @param {ForegroundSettings} settings
 * @returns {Uint8ClampedArray<ArrayBuffer>} RGBA; black where alpha is 0
 */
export function cutout(photo, alpha, settings) {
  const small = shrunkAlpha(photo, alpha, settings.side).data;
  const { front, back } = fused(shrunk(photo, settings.side), small, settings);
  const [frontAt, backAt] = [reader(front, photo), reader(back, photo)];
  const result = new Uint8ClampedArray(4 * alpha.length);
  for (let i = 0; i < alpha.length; i++) {
    if (!alpha[i]) continue;
    const soft = alpha[i] < 255;
    const [x, y] = soft ? [i % photo.width, Math.floor(i / photo.width)] : [0, 0];
    const [pet, behind] = soft ? [frontAt(x, y), backAt(x, y)] : [];
    for (let c = 0; c < 3; c++) {
      const color = photo.data[3 * i + c];
      result[4 * i + c] = pet && behind ? round(255 * corrected(color / 255, alpha[i] / 255, pet[c], behind[c])) : color;
    }
    result[4 * i + 3] = alpha[i];
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
  const all = weight.reduce((sum, value) => sum + value, 0);
  const sigma = settings.blur * Math.max(width, height);
  const count = gaussian(weight, width, height, sigma);
  const data = new Uint8Array(3 * width * height);
  for (let c = 0; c < 3; c++) {
    const weighted = plane(colors, c).map((color, i) => color * weight[i]);
    const usual = weighted.reduce((sum, value) => sum + value, 0) / all;
    gaussian(weighted, width, height, sigma).forEach((value, i) => {
      const mean = (value + settings.tiny * usual) / (count[i] + settings.tiny);
      data[3 * i + c] = round(Math.min(255, Math.max(0, 255 * mean)));
    });
  }
  return resize({ data, width, height, channels: 3 }, photo.width, photo.height, BILINEAR);
}

/**
 * @param {Pixels} photo
 * @param {Uint8Array} alpha
 * @param {number} side
 */
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
    const radius = Math.max(1, round(window * Math.max(width, height)));
    front = weightedMean(estimate, alpha, radius, tiny);
    back = weightedMean(back, alpha.map((value) => 1 - value), radius, tiny);
    estimate = zeros(3, width, height);
    for (let i = 0; i < estimate.data.length; i++) {
      estimate.data[i] = corrected(colors.data[i], alpha[i % alpha.length], front.data[i], back.data[i]);
    }
  }
  return { front, back };
}

/** @param {Planes} colors @param {Float32Array} weights @param {number} radius @param {number} tiny */
function weightedMean(colors, weights, radius, tiny) {
  const { width, height } = colors;
  const total = boxMean(weights, width, height, radius);
  const result = zeros(3, width, height);
  for (let c = 0; c < 3; c++) {
    const sums = boxMean(plane(colors, c).map((color, i) => color * weights[i]), width, height, radius);
    plane(result, c).set(sums.map((sum, i) => sum / (total[i] + tiny)));
  }
  return result;
}

/**
 * `front`, moved by what is missing to the photo's colour in the mixture, the more the larger alpha is.
 * @param {number} color
 * @param {number} alpha
 * @param {number} front
 * @param {number} back
 */
function corrected(color, alpha, front, back) {
  return Math.min(1, Math.max(0, front + alpha * (color - alpha * front - (1 - alpha) * back)));
}

/**
 * A plane blurred with a Gaussian: `scipy.ndimage.gaussian_filter`, which mirrors the plane at its frame.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 * @param {number} sigma
 */
function gaussian(values, width, height, sigma) {
  const radius = Math.trunc(4 * sigma + 0.5);
  const kernel = Float64Array.from({ length: 2 * radius + 1 }, (_, k) => Math.exp(-0.5 * ((k - radius) / sigma) ** 2));
  const total = kernel.reduce((sum, value) => sum + value, 0);
  const blur = (/** @type {Float32Array} */ plane, /** @type {number} */ length, /** @type {number} */ step) => {
    const mirrored = Int32Array.from({ length: length + 2 * radius }, (_, i) => {
      const place = (((i - radius) % (2 * length)) + 2 * length) % (2 * length);
      return Math.min(place, 2 * length - 1 - place) * step;
    });
    const result = new Float32Array(plane.length);
    for (let at = 0; at < plane.length; at++) {
      const place = Math.floor(at / step) % length;
      const start = at - place * step;
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k] * plane[start + mirrored[place + k]];
      result[at] = sum / total;
    }
    return result;
  };
  return blur(blur(values, height, width), width, 1);
}
