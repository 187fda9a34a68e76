// Images of another size, computed as Pillow computes them, so that the network sees the same pixels as in Python.

/**
 * Pixels of 0 to 255, row by row, the channels of a pixel side by side.
 * @typedef {{data: Uint8Array, width: number, height: number, channels: number}} Pixels
 */

/** @typedef {{support: number, weight: (x: number) => number}} Filter */

const BITS = 22; // of the fraction in Pillow's weights, which are whole numbers

/** @type {Filter} a triangle: each output pixel is a weighted mean of all input pixels that become it */
export const BILINEAR = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

/** @type {Filter} a plain mean */
export const BOX = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/**
 * Resizes an image, antialiased: `PIL.Image.Image.resize`.
 * @param {Pixels} image
 * @param {number} width
 * @param {number} height
 * @param {Filter} filter
 * @returns {Pixels}
 */
export function resize(image, width, height, filter) {
  const { channels } = image;
  const narrow = resizeAxis(image.data, image.height, image.width, width, channels, filter);
  return { data: resizeAxis(narrow, 1, image.height, height, width * channels, filter), width, height, channels };
}

/**
 * Resizes an array of shape (lines, length, inner) to (lines, size, inner).
 * @param {Uint8Array} data
 * @param {number} lines
 * @param {number} length
 * @param {number} size
 * @param {number} inner
 * @param {Filter} filter
 */
function resizeAxis(data, lines, length, size, inner, filter) {
  const taps = tapsOf(length, size, filter);
  const result = new Uint8Array(lines * size * inner);
  for (let line = 0, to = 0; line < lines; line++) {
    for (const { first, weights } of taps) {
      const start = (line * length + first) * inner;
      for (let i = 0; i < inner; i++) {
        let sum = 1 << (BITS - 1); // rounds
        for (let k = 0, from = start + i; k < weights.length; k++, from += inner) sum += data[from] * weights[k];
        result[to++] = Math.min(255, sum >> BITS);
      }
    }
  }
  return result;
}

/** Which pixels of a line become each pixel of the resized line, and with which weights. @param {number} length @param {number} size @param {Filter} filter */
function tapsOf(length, size, { support, weight }) {
  const step = length / size;
  const scale = Math.max(1, step); // a filter as wide as the step averages over all pixels that become one
  return Array.from({ length: size }, (_, i) => {
    const center = (i + 0.5) * step;
    const first = Math.max(0, Math.trunc(center - support * scale + 0.5));
    const count = Math.min(length, Math.trunc(center + support * scale + 0.5)) - first;
    const exact = Array.from({ length: count }, (_, k) => weight((first + k - center + 0.5) / scale));
    const total = exact.reduce((sum, value) => sum + value, 0);
    return { first, weights: Int32Array.from(exact, (value) => Math.trunc(0.5 + (value / total) * 2 ** BITS)) };
  });
}

/**
 * A part of an image.
 * @param {Pixels} image
 * @param {import("./regions.js").Box} box
 * @returns {Pixels}
 */
export function crop({ data, width, channels }, [left, top, right, bottom]) {
  const rows = [];
  for (let y = top; y < bottom; y++) rows.push(data.subarray((y * width + left) * channels, (y * width + right) * channels));
  const part = { width: right - left, height: bottom - top, channels };
  const result = new Uint8Array(part.width * part.height * channels);
  rows.forEach((row, y) => result.set(row, y * row.length));
  return { data: result, ...part };
}
