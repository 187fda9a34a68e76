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
 * @param {[number, number]} extent the part of the image that is used, from the upper left corner
 * @returns {Pixels}
 */
export function resize(image, width, height, filter, extent = [image.width, image.height]) {
  const narrow = resizeRows(image, taps(image.width, extent[0], width, filter));
  return resizeColumns(narrow, taps(image.height, extent[1], height, filter));
}

/**
 * The mean of each block of pixels: `PIL.Image.Image.reduce`.
 * @param {Pixels} image
 * @param {number} across pixels per block
 * @param {number} down pixels per block
 * @returns {Pixels}
 */
export function reduce(image, across, down) {
  const { channels } = image;
  const [width, height] = [Math.ceil(image.width / across), Math.ceil(image.height / down)];
  const data = new Uint8Array(width * height * channels);
  const sums = new Uint32Array(width * channels);
  for (let row = 0; row < height; row++) {
    sums.fill(0);
    const last = Math.min(image.height, (row + 1) * down);
    for (let y = row * down; y < last; y++) {
      let at = y * image.width * channels;
      for (let x = 0; x < image.width; x++) {
        const to = Math.floor(x / across) * channels;
        for (let c = 0; c < channels; c++) sums[to + c] += image.data[at++];
      }
    }
    for (let i = 0; i < sums.length; i++) {
      const column = Math.floor(i / channels);
      const count = (last - row * down) * Math.min(across, image.width - column * across);
      data[row * sums.length + i] = Math.floor((sums[i] + (count >> 1)) / count);
    }
  }
  return { data, width, height, channels };
}

/**
 * A part of an image.
 * @param {Pixels} image
 * @param {import("./two_pass.js").Box} box
 * @returns {Pixels}
 */
export function crop(image, [left, top, right, bottom]) {
  const { channels } = image;
  const width = (right - left) * channels;
  const data = new Uint8Array(width * (bottom - top));
  for (let y = top; y < bottom; y++) {
    const from = (y * image.width + left) * channels;
    data.set(image.data.subarray(from, from + width), (y - top) * width);
  }
  return { data, width: right - left, height: bottom - top, channels };
}

/**
 * Which pixels of a row become each pixel of the resized row, and with which weights.
 * @typedef {{size: number, most: number, first: Int32Array, count: Int32Array, weights: Int32Array}} Taps
 */

/**
 * @param {number} length of the row
 * @param {number} extent the part of it that is used
 * @param {number} size of the resized row
 * @param {Filter} filter
 * @returns {Taps}
 */
function taps(length, extent, size, filter) {
  const step = extent / size;
  const scale = Math.max(1, step); // a filter as wide as the step averages over all pixels that become one
  const support = filter.support * scale;
  const most = Math.ceil(support) * 2 + 1;
  const [first, count] = [new Int32Array(size), new Int32Array(size)];
  const weights = new Int32Array(size * most);
  for (let i = 0; i < size; i++) {
    const center = (i + 0.5) * step;
    first[i] = Math.max(0, Math.trunc(center - support + 0.5));
    count[i] = Math.min(length, Math.trunc(center + support + 0.5)) - first[i];
    const exact = Array.from({ length: count[i] }, (_, k) => filter.weight((first[i] + k - center + 0.5) / scale));
    const total = exact.reduce((sum, weight) => sum + weight, 0);
    exact.forEach((weight, k) => (weights[i * most + k] = Math.trunc(0.5 + (weight / total) * 2 ** BITS)));
  }
  return { size, most, first, count, weights };
}

/** @param {Pixels} image @param {Taps} taps @returns {Pixels} */
function resizeRows({ data, width, height, channels }, { size, most, first, count, weights }) {
  const result = new Uint8Array(size * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 1 << (BITS - 1); // rounds
        let from = (y * width + first[x]) * channels + c;
        for (let k = x * most, end = k + count[x]; k < end; k++, from += channels) sum += data[from] * weights[k];
        result[to++] = Math.min(255, sum >> BITS);
      }
    }
  }
  return { data: result, width: size, height, channels };
}

/** @param {Pixels} image @param {Taps} taps @returns {Pixels} */
function resizeColumns({ data, width, channels }, { size, most, first, count, weights }) {
  const stride = width * channels;
  const result = new Uint8Array(stride * size);
  const sums = new Int32Array(stride);
  for (let y = 0; y < size; y++) {
    sums.fill(1 << (BITS - 1));
    for (let k = 0; k < count[y]; k++) {
      const weight = weights[y * most + k];
      const from = (first[y] + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] += data[from + i] * weight;
    }
    for (let i = 0; i < stride; i++) result[y * stride + i] = Math.min(255, sums[i] >> BITS);
  }
  return { data: result, width, height: size, channels };
}
