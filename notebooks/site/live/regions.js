// Connected regions of a mask, the box round one, and distances to its edge.

/** @typedef {import("./planes.js").Size} Size */
/** Left, top, right and bottom, in pixels. @typedef {[number, number, number, number]} Box */
/** Connected regions, numbered from 1: the number of each pixel (0 outside), and pixels by number. @typedef {{regions: Int32Array, areas: number[]}} Regions */

/**
 * The connected regions of a mask: `scipy.ndimage.label`.
 * @param {Uint8Array} mask 1 within, 0 outside
 * @param {Size} size
 * @param {boolean} corners whether pixels that touch at a corner are connected
 * @returns {Regions}
 */
export function label(mask, { width, height }, corners = false) {
  const regions = new Int32Array(mask.length);
  /** @type {number[]} */
  const areas = [0]; // of region 0, which is none
  /** @type {number[]} */
  const stack = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || regions[start]) continue;
    const region = areas.push(0) - 1;
    regions[start] = region;
    stack.push(start);
    while (stack.length) {
      const at = Number(stack.pop());
      areas[region]++;
      const [x, y] = [at % width, Math.floor(at / width)];
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const inside = x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height;
          const near = at + dy * width + dx;
          if (inside && (corners || !dx || !dy) && mask[near] && !regions[near]) {
            regions[near] = region;
            stack.push(near);
          }
        }
      }
    }
  }
  return { regions, areas };
}

/** Numbers of the largest regions, from the largest on. @param {Regions} regions @param {number} smallest as a fraction of the largest @param {number} most how many */
export function largest({ areas }, smallest, most) {
  const least = smallest * Math.max(...areas);
  const numbers = [...areas.keys()].slice(1).filter((number) => areas[number] >= least);
  return numbers.sort((one, other) => areas[other] - areas[one]).slice(0, most);
}

/** The smallest box with all values that are inside; null if none is. @template T @param {ArrayLike<T>} values @param {Size} size @param {(value: T) => boolean} isInside @returns {Box | null} */
export function boxOf(values, { width, height }, isInside) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (!isInside(values[i])) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), y + 1];
  }
  return right ? [left, top, right, bottom] : null;
}

/**
 * For each pixel of a mask the distance to the nearest pixel outside, or about `most` if that is less:
 * `scipy.ndimage.distance_transform_edt`.
 * @param {Uint8Array} mask 1 within, 0 outside
 * @param {Size} size
 * @param {number} most
 */
export function distances(mask, { width }, most) {
  const inColumn = Float32Array.from(mask, (inside) => (inside ? most : 0)); // to the nearest in the same column
  for (let i = width; i < mask.length; i++) inColumn[i] = Math.min(inColumn[i], inColumn[i - width] + 1);
  for (let i = mask.length - width - 1; i >= 0; i--) inColumn[i] = Math.min(inColumn[i], inColumn[i + width] + 1);
  return inColumn.map((nearest, i) => {
    let square = nearest * nearest;
    const [left, right] = [i % width, width - 1 - (i % width)];
    for (let d = 1; d * d < square; d++) {
      if (d <= left) square = Math.min(square, inColumn[i - d] ** 2 + d * d);
      if (d <= right) square = Math.min(square, inColumn[i + d] ** 2 + d * d);
    }
    return Math.sqrt(square);
  });
}
