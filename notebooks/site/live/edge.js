// The cut-out's edge and frame, as its owner wants them: petseg/apps/edge.py and cutouts.py.

import { cutout, shrunkAlpha } from "./foreground.js";
import { blurred, clamp, enlarged } from "./planes.js";
import { boxOf, distances } from "./regions.js";

/** @typedef {import("./foreground.js").ForegroundSettings} ForegroundSettings */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {import("./regions.js").Box} Box */
/** @typedef {import("./resample.js").Pixels} Pixels */
/** @typedef {{side: number, visible: number, margin: number}} EdgeSettings */

/**
 * The alpha matte with its edge moved outwards (below 0: inwards) and then blurred, both in per mille of the longest side.
 * @param {Size} photo
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

/** Alpha where the photo itself is opaque; what it shows through stays so. @param {Uint8Array} alpha @param {Uint8Array | null} opacity of the photo */
export function within(alpha, opacity) {
  return opacity ? alpha.map((value, i) => Math.min(value, opacity[i])) : alpha;
}

/** @param {Size} photo @param {Uint8Array} alpha @param {number} length @param {number} side */
function grown(photo, alpha, length, side) {
  const small = shrunkAlpha(photo, alpha, side);
  const reach = (length * Math.max(small.width, small.height)) / 1000 + 1;
  const distance = distances(Uint8Array.from(small.data, (value) => Number(value <= 0.5)), small, reach + 1);
  const silhouette = enlarged(distance.map((value) => clamp(reach - value, 0, 1)), small, photo);
  return alpha.map((value, i) => Math.max(value, silhouette[i]));
}

/** An alpha matte blurred. @param {Size} photo @param {Uint8Array} alpha @param {number} deviation in per mille of the longest side @param {number} side */
export function blurredAlpha(photo, alpha, deviation, side) {
  const small = shrunkAlpha(photo, alpha, side);
  return enlarged(blurred(small.data, small, (deviation * Math.max(small.width, small.height)) / 1000), small, photo);
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
      result[4 * i + c] = alpha[i] && result[4 * i + c] * (1 - weight) + photo.data[3 * i + c] * weight;
    }
    result[4 * i + 3] = alpha[i];
  }
  return result;
}

/** The part to crop to: all visible pixels and a margin; everything if none is. @param {Uint8Array} alpha @param {Size} photo @param {EdgeSettings} settings @returns {Box} */
export function petFrame(alpha, photo, settings) {
  const [left, top, right, bottom] = boxOf(alpha, photo, (value) => value >= settings.visible) ?? [0, 0, photo.width, photo.height];
  const margin = Math.round(settings.margin * Math.max(right - left, bottom - top));
  return [Math.max(0, left - margin), Math.max(0, top - margin), Math.min(photo.width, right + margin), Math.min(photo.height, bottom + margin)];
}

/** The fraction of the frame's width that has half of the pet on each side: 0.15 to 0.85. @param {Uint8Array} alpha @param {number} width @param {Box} frame */
export function petMiddle(alpha, width, [left, top, right, bottom]) {
  const columns = new Float64Array(right - left);
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) columns[x - left] += alpha[y * width + x];
  const half = columns.reduce((sum, value) => sum + value, 0) / 2;
  let [sum, column] = [0, -1];
  while (half && sum < half) sum += columns[++column];
  return half ? clamp((column + 0.5) / columns.length, 0.15, 0.85) : 0.5;
}
