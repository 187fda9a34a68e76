// The cut-out's edge, frame and shadow, as its owner wants them: petseg/apps/cutouts.py.

import { cutout, shrunkAlpha } from "./foreground.js";
import { boxMean, enlarged, round } from "./planes.js";
import { distances } from "./regions.js";

/** @typedef {import("./foreground.js").ForegroundSettings} ForegroundSettings */
/** @typedef {import("./resample.js").Pixels} Pixels */
/** @typedef {{side: number, visible: number, margin: number}} EdgeSettings */
/** Left, top, right and bottom, in pixels. @typedef {[number, number, number, number]} Box */

/**
 * The alpha matte with its edge moved outwards (below 0: inwards) and then blurred, both in per mille of the longest side.
 * @param {Pixels} photo
 * @param {Uint8Array} alpha
 * @param {[number, number]} growAndFeather
 * @param {EdgeSettings} settings
 */
export function movedEdge(photo, alpha, [grow, feather], { side }) {
  const inverted = (/** @type {Uint8Array} */ values) => values.map((value) => 255 - value);
  let moved = alpha;
  if (grow > 0) moved = grown(photo, alpha, grow, side);
  if (grow < 0) moved = inverted(grown(photo, inverted(alpha), -grow, side));
  return feather ? blurredAlpha(photo, moved, feather, side) : moved;
}

/** @param {Pixels} photo @param {Uint8Array} alpha @param {number} length @param {number} side */
function grown(photo, alpha, length, side) {
  const { data, width, height } = shrunkAlpha(photo, alpha, side);
  if (!data.some((value) => value > 0.5)) return alpha;
  const distance = distances(Uint8Array.from(data, (value) => Number(value <= 0.5)), width, height);
  const reach = (length * Math.max(width, height)) / 1000 + 1;
  const silhouette = enlarged(distance.map((value) => Math.min(1, Math.max(0, reach - value))), { width, height }, photo);
  return alpha.map((value, i) => Math.max(value, silhouette[i]));
}

/**
 * An alpha matte blurred by three box filters, which together are nearly a Gaussian; its standard deviation is in per
 * mille of the longest side.
 * @param {Pixels} photo
 * @param {Uint8Array} alpha
 * @param {number} deviation
 * @param {number} side
 */
export function blurredAlpha(photo, alpha, deviation, side) {
  let { data, width, height } = shrunkAlpha(photo, alpha, side);
  const sigma = (deviation * Math.max(width, height)) / 1000;
  const radius = Math.max(1, Math.round((Math.sqrt(4 * sigma * sigma + 1) - 1) / 2));
  for (let pass = 0; pass < 3; pass++) data = boxMean(data, width, height, radius);
  return enlarged(data, { width, height }, photo);
}

/**
 * The pet with opacity `alpha`: where it exceeds the matte, the colour goes over to the photo's own.
 * @param {Pixels} photo
 * @param {Uint8Array} matte
 * @param {Uint8Array} alpha
 * @param {ForegroundSettings} settings
 */
export function recolored(photo, matte, alpha, settings) {
  const result = cutout(photo, matte.map((value, i) => (alpha[i] && !value ? 1 : value)), settings);
  for (let i = 0; i < alpha.length; i++) {
    const weight = alpha[i] > matte[i] ? (alpha[i] - matte[i]) / (255 - matte[i]) : 0;
    for (let c = 0; c < 3; c++) {
      const own = photo.data[3 * i + c];
      result[4 * i + c] = alpha[i] ? round(result[4 * i + c] * (1 - weight) + own * weight) : 0;
    }
    result[4 * i + 3] = alpha[i];
  }
  return result;
}

/**
 * The part to crop to: all visible pixels and a margin; everything if none is.
 * @param {Uint8Array} alpha
 * @param {{width: number, height: number}} photo
 * @param {EdgeSettings} settings
 * @returns {Box}
 */
export function petFrame(alpha, { width, height }, settings) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  alpha.forEach((value, i) => {
    if (value < settings.visible) return;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  });
  if (right <= left) return [0, 0, width, height];
  const margin = round(settings.margin * Math.max(right - left, bottom - top));
  return [Math.max(0, left - margin), Math.max(0, top - margin), Math.min(width, right + margin), Math.min(height, bottom + margin)];
}

/** The fraction of the frame's width that has half of the pet on each side: 0.15 to 0.85. @param {Uint8Array} alpha @param {number} width @param {Box} frame */
export function petMiddle(alpha, width, [left, top, right, bottom]) {
  const columns = new Float64Array(right - left);
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) columns[x - left] += alpha[y * width + x];
  const half = columns.reduce((sum, value) => sum + value, 0) / 2;
  let [sum, column] = [0, -1];
  while (half && sum < half) sum += columns[++column];
  return half ? Math.min(0.85, Math.max(0.15, (column + 0.5) / columns.length)) : 0.5;
}
