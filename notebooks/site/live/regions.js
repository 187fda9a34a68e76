// Connected regions of a mask, and distances to its edge.

/**
 * Numbers the connected regions of a mask from 1: `scipy.ndimage.label`.
 * @param {Uint8Array} mask 1 within, 0 outside
 * @param {number} width
 * @param {number} height
 * @param {boolean} corners whether pixels that touch at a corner are connected
 */
export function label(mask, width, height, corners = false) {
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
  return { regions, areas, count: areas.length - 1 };
}

/**
 * For each pixel of a mask the distance to the nearest pixel outside: `scipy.ndimage.distance_transform_edt`.
 * Felzenszwalb, Huttenlocher: Distance Transforms of Sampled Functions (2012).
 * @param {Uint8Array} mask 1 within, 0 outside, with at least one 0
 * @param {number} width
 * @param {number} height
 */
export function distances(mask, width, height) {
  const squares = new Float64Array(mask.length);
  for (let i = 0; i < squares.length; i++) squares[i] = mask[i] ? 1e12 : 0;
  for (let x = 0; x < width; x++) lowerEnvelope(squares, x, width, height);
  for (let y = 0; y < height; y++) lowerEnvelope(squares, y * width, 1, width);
  const result = new Float32Array(mask.length);
  for (let i = 0; i < result.length; i++) result[i] = Math.sqrt(squares[i]);
  return result;
}

/**
 * Replaces each value of a line by the smallest (distance along the line)^2 + value.
 * @param {Float64Array} values
 * @param {number} start
 * @param {number} step from one value of the line to the next
 * @param {number} length
 */
function lowerEnvelope(values, start, step, length) {
  const line = new Float64Array(length);
  for (let i = 0; i < length; i++) line[i] = values[start + i * step];
  const tips = new Int32Array(length); // of the parabolas that are lowest somewhere
  const from = new Float64Array(length + 1); // where each begins to be
  let last = 0;
  from[0] = -Infinity;
  from[1] = Infinity;
  for (let i = 1; i < length; i++) {
    let begins = meeting(line, tips[last], i);
    while (begins <= from[last]) begins = meeting(line, tips[--last], i);
    tips[++last] = i;
    from[last] = begins;
    from[last + 1] = Infinity;
  }
  for (let i = 0, k = 0; i < length; i++) {
    while (from[k + 1] < i) k++;
    values[start + i * step] = (i - tips[k]) ** 2 + line[tips[k]];
  }
}

/** Where the parabolas of two tips meet. @param {Float64Array} line @param {number} one @param {number} other */
function meeting(line, one, other) {
  return (line[other] + other * other - line[one] - one * one) / (2 * (other - one));
}
