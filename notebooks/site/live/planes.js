// Planes of numbers: small copies of a photo and of what is known about its pixels, on which colours are estimated.

import { BILINEAR, BOX, resize } from "./resample.js";

/**
 * Numbers, plane by plane and row by row, as an array of shape (C, h, w).
 * @typedef {{data: Float32Array, channels: number, width: number, height: number}} Planes
 */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {import("./resample.js").Pixels} Pixels */

/** @param {number} channels @param {number} width @param {number} height @returns {Planes} */
export function zeros(channels, width, height) {
  return { data: new Float32Array(channels * width * height), channels, width, height };
}

/** One of the planes, which shares their memory. @param {Planes} planes @param {number} index */
export function plane({ data, width, height }, index) {
  return data.subarray(index * width * height, (index + 1) * width * height);
}

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** @param {Pixels} image @returns {Planes} values 0 to 1 */
export function toPlanes({ data, width, height, channels }) {
  const result = zeros(channels, width, height);
  const size = width * height;
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < channels; c++) result.data[c * size + i] = data[i * channels + c] / 255;
  }
  return result;
}

/** The size of a copy whose longest side is at most `side` pixels. @param {Size} size @param {number} side @returns {Size} */
export function fitted({ width, height }, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** A copy whose longest side is at most `side` pixels. @param {Pixels} image @param {number} side */
export function shrunk(image, side) {
  const { width, height } = fitted(image, side);
  return toPlanes(resize(image, width, height, BOX));
}

/** A plane of values 0 to 1 at a photo's size, 0 to 255. @param {Float32Array} values @param {Size} from @param {Size} to */
export function enlarged(values, { width, height }, to) {
  const data = Uint8Array.from(values, (value) => Math.round(255 * value));
  return resize({ data, width, height, channels: 1 }, to.width, to.height, BILINEAR).data;
}

/**
 * A function that reads planes bilinearly at a place, 0 to 1 from their left and top: one value for each plane. The
 * array that it returns is used again by the next call.
 * @param {Planes} planes
 */
export function reader({ data, channels, width, height }) {
  const size = width * height;
  const values = new Float32Array(channels);
  return (/** @type {number} */ across, /** @type {number} */ down) => {
    const x = clamp(across * width - 0.5, 0, width - 1);
    const y = clamp(down * height - 0.5, 0, height - 1);
    const [left, row] = [Math.floor(x), Math.floor(y)];
    const right = Math.min(width - 1, left + 1);
    let [top, below] = [row * width, Math.min(height - 1, row + 1) * width];
    for (let c = 0; c < channels; c++, top += size, below += size) {
      const above = data[top + left] + (x - left) * (data[top + right] - data[top + left]);
      const under = data[below + left] + (x - left) * (data[below + right] - data[below + left]);
      values[c] = above + (y - row) * (under - above);
    }
    return values;
  };
}

/**
 * Planes at another size, bilinearly and not antialiased, one pixel after the other, as `reader` reads them.
 * @param {Planes} planes
 * @param {Size} size
 * @param {(values: Float32Array, i: number) => void} use
 */
export function eachPixel(planes, { width, height }, use) {
  const read = reader(planes);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++) use(read((x + 0.5) / width, (y + 0.5) / height), i++);
  }
}

/** The probability of a class: the softmax of its three logits. @param {number} label @param {ArrayLike<number>} logits */
export function probability(label, logits) {
  const most = Math.max(logits[0], logits[1], logits[2]);
  const total = Math.exp(logits[0] - most) + Math.exp(logits[1] - most) + Math.exp(logits[2] - most);
  return Math.exp(logits[label] - most) / total;
}

/**
 * The mean of each plane in a square around each pixel: `scipy.ndimage.uniform_filter`, where the frame's pixels are
 * repeated beyond it.
 * @param {Float32Array} values
 * @param {Size} size
 * @param {number} radius the square has 2 radius + 1 pixels per side
 */
export function boxMean(values, { width, height }, radius) {
  const columns = slidingMean(values, width, height, width, 1, radius);
  return slidingMean(columns, height, width, 1, width, radius);
}

/** The mean around each pixel, as `boxMean` takes it, of weighted values. @param {Float32Array} values @param {Float32Array} weights @param {Size} size @param {number} radius @param {number} tiny is added to the weights' mean */
export function weightedMean(values, weights, size, radius, tiny = 0) {
  const total = boxMean(weights, size, radius);
  const sums = boxMean(values.map((value, i) => value * weights[i]), size, radius);
  return sums.map((sum, i) => sum / (total[i] + tiny));
}

/** A plane blurred by three box filters, which together are nearly a Gaussian. @param {Float32Array} values @param {Size} size @param {number} deviation in pixels */
export function blurred(values, size, deviation) {
  const radius = Math.max(1, Math.round((Math.sqrt(4 * deviation * deviation + 1) - 1) / 2));
  return boxMean(boxMean(boxMean(values, size, radius), size, radius), size, radius);
}

/**
 * @param {Float32Array} values
 * @param {number} lines how many there are
 * @param {number} length of each
 * @param {number} step from one value of a line to the next
 * @param {number} next from one line to the next
 * @param {number} radius
 */
function slidingMean(values, lines, length, step, next, radius) {
  const result = new Float32Array(values.length);
  for (let line = 0; line < lines; line++) {
    const [first, last] = [line * next, line * next + (length - 1) * step];
    let sum = 0;
    for (let i = -radius; i <= radius; i++) sum += values[clamp(first + i * step, first, last)];
    for (let at = first; at <= last; at += step) {
      result[at] = sum / (2 * radius + 1);
      sum += values[Math.min(last, at + (radius + 1) * step)] - values[Math.max(first, at - radius * step)];
    }
  }
  return result;
}
