// Planes of numbers: small copies of a photo and of what is known about its pixels, on which colours are estimated.

import { BILINEAR, BOX, reduce, resize } from "./resample.js";

/**
 * Numbers, plane by plane and row by row, as an array of shape (C, h, w).
 * @typedef {{data: Float32Array, channels: number, width: number, height: number}} Planes
 */
/** @typedef {import("./resample.js").Pixels} Pixels */

/** @param {number} channels @param {number} width @param {number} height @returns {Planes} */
export function zeros(channels, width, height) {
  return { data: new Float32Array(channels * width * height), channels, width, height };
}

/** One of the planes, which shares their memory. @param {Planes} planes @param {number} index */
export function plane(planes, index) {
  const size = planes.width * planes.height;
  return planes.data.subarray(index * size, (index + 1) * size);
}

/** The nearest whole number, the even one of two: Python's `round`. @param {number} x */
export function round(x) {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2) : Math.round(x);
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

/**
 * A copy whose longest side is at most `side` pixels: `petseg.inference.matting.shrunk`.
 * @param {Pixels} image
 * @param {number} side
 */
export function shrunk(image, side) {
  const scale = Math.min(1, side / Math.max(image.width, image.height));
  const [w, h] = [image.width, image.height].map((length) => Math.max(1, round(length * scale)));
  // as Pillow's reducing_gap=2.0: whole blocks first, which is faster
  const across = Math.max(1, Math.trunc(image.width / w / 2));
  const down = Math.max(1, Math.trunc(image.height / h / 2));
  const less = across > 1 || down > 1 ? reduce(image, across, down) : image;
  return toPlanes(resize(less, w, h, BOX, [image.width / across, image.height / down]));
}

/**
 * A plane of values 0 to 1 at a photo's size, 0 to 255.
 * @param {Float32Array} values
 * @param {{width: number, height: number}} from
 * @param {{width: number, height: number}} to
 */
export function enlarged(values, from, to) {
  const data = new Uint8Array(values.length);
  for (let i = 0; i < data.length; i++) data[i] = round(255 * values[i]);
  return resize({ data, width: from.width, height: from.height, channels: 1 }, to.width, to.height, BILINEAR).data;
}

/**
 * Where pixels of a long row lie on a short one: the pixels before and after, and how far it is from the first.
 * @param {number} length of the short row
 * @param {number} size of the long one
 */
export function positions(length, size) {
  const before = new Int32Array(size);
  const after = new Int32Array(size);
  const part = new Float32Array(size);
  for (let i = 0; i < size; i++) {
    const at = Math.min(length - 1, Math.max(0, ((i + 0.5) * length) / size - 0.5));
    before[i] = Math.floor(at);
    after[i] = Math.min(length - 1, before[i] + 1);
    part[i] = at - before[i];
  }
  return { before, after, part };
}

/**
 * Planes at another size, bilinearly and not antialiased, one row at a time.
 * @param {Planes} planes
 * @param {number} width
 * @param {number} height
 * @param {(row: Float32Array, y: number) => void} use is given each row: `width` values of the first plane, then of
 *   the next; the array is used again for the next row
 */
export function eachRow(planes, width, height, use) {
  const across = positions(planes.width, width);
  const down = positions(planes.height, height);
  const row = new Float32Array(planes.channels * width);
  const mixed = new Float32Array(planes.width); // the row between two rows
  for (let y = 0; y < height; y++) {
    for (let c = 0; c < planes.channels; c++) {
      const top = (c * planes.height + down.before[y]) * planes.width;
      const below = (c * planes.height + down.after[y]) * planes.width;
      for (let x = 0; x < planes.width; x++) {
        const value = planes.data[top + x];
        mixed[x] = value + down.part[y] * (planes.data[below + x] - value);
      }
      for (let x = 0; x < width; x++) {
        const value = mixed[across.before[x]];
        row[c * width + x] = value + across.part[x] * (mixed[across.after[x]] - value);
      }
    }
    use(row, y);
  }
}

/**
 * The mean of each plane in a square around each pixel: `scipy.ndimage.uniform_filter`, where the frame's pixels are
 * repeated beyond it.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 * @param {number} radius the square has 2 radius + 1 pixels per side
 */
export function boxMean(values, width, height, radius) {
  const columns = slidingMean(values, width, height, width, 1, radius);
  return slidingMean(columns, height, width, 1, width, radius);
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
    for (let i = -radius; i <= radius; i++) sum += values[Math.min(last, Math.max(first, first + i * step))];
    for (let at = first; at <= last; at += step) {
      result[at] = sum / (2 * radius + 1);
      sum += values[Math.min(last, at + (radius + 1) * step)] - values[Math.max(first, at - radius * step)];
    }
  }
  return result;
}
