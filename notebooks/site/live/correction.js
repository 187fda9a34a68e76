// Keep and remove: strokes of the brush, pets that are left out, and the logits that follow: petseg/inference/correction.py.

import { silhouette } from "./matting.js";
import { eachRow, plane, zeros } from "./planes.js";
import { label } from "./regions.js";
import { probability } from "./two_pass.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {{side: number, unsure: number, reach: number, spread: number, certain: number, smallest_pet: number}} CorrectionSettings */

/** A line of the brush, in fractions of the photo's sides. @typedef {{type: "stroke", keep: boolean, radius: number, points: [number, number][]}} Stroke */
/** The choice whether one of several pets is shown. @typedef {{type: "pet", index: number, shown: boolean}} Pet */
/** @typedef {Stroke | Pet} Edit */

/** The grid on which strokes are followed. @param {{width: number, height: number}} photo @param {number} side */
function gridOf({ width, height }, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [width, height].map((length) => Math.max(1, Math.round(length * scale)));
}

/**
 * The pixels of each pet on the grid, from left to right; none if there is only one.
 * @param {Planes} logits
 * @param {{width: number, height: number}} photo
 * @param {CorrectionSettings} settings
 */
export function petRegions(logits, photo, settings) {
  const [m, n] = gridOf(photo, settings.side);
  const { regions, areas, count } = label(silhouette(logits, m, n, settings.smallest_pet), m, n);
  const sums = new Float64Array(count + 1);
  regions.forEach((region, i) => (sums[region] += i % m));
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const sorted = numbers.sort((one, other) => sums[one] / areas[one] - sums[other] / areas[other]);
  return count < 2 ? [] : sorted.map((number) => Uint8Array.from(regions, (region) => Number(region === number)));
}

/** The pixels of the grid that a stroke covers. @param {Stroke} stroke @param {number} m @param {number} n */
function covered({ radius, points }, m, n) {
  const mask = new Uint8Array(m * n);
  const reach = Math.max(0.5, radius * Math.max(m, n));
  const places = points.map(([x, y]) => [x * m, y * n]);
  for (const [index, [x, y]] of places.entries()) {
    const [from_x, from_y] = places[Math.max(0, index - 1)];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - from_x, y - from_y)));
    for (let step = 1; step <= steps; step++) {
      const [a, b] = [from_x + ((x - from_x) * step) / steps, from_y + ((y - from_y) * step) / steps];
      for (let row = Math.max(0, Math.floor(b - reach)); row < Math.min(n, b + reach); row++) {
        for (let column = Math.max(0, Math.floor(a - reach)); column < Math.min(m, a + reach); column++) {
          if (Math.hypot(column + 0.5 - a, row + 0.5 - b) <= reach + 0.5) mask[row * m + column] = 1;
        }
      }
    }
  }
  return mask;
}

/**
 * The logits after all edits; of those that cover a pixel the last one counts.
 * @param {Planes} logits
 * @param {{width: number, height: number}} photo
 * @param {Edit[]} edits
 * @param {CorrectionSettings} settings
 */
export function edited(logits, photo, edits, settings) {
  const [m, n] = gridOf(photo, settings.side);
  const [keep, remove] = [new Uint8Array(m * n), new Uint8Array(m * n)];
  const pets = edits.some(({ type }) => type === "pet") ? petRegions(logits, photo, settings) : [];
  for (const edit of edits) {
    const mask = edit.type === "pet" ? pets[edit.index] : covered(edit, m, n);
    mask.forEach((inside, i) => {
      if (!inside) return;
      keep[i] = Number(edit.type === "stroke" && edit.keep);
      remove[i] = Number(edit.type === "stroke" ? !edit.keep : !edit.shown);
    });
  }
  return keep.includes(1) || remove.includes(1) ? correctedLogits(logits, m, n, keep, remove, settings) : logits;
}

/**
 * Logits that follow the strokes, on the grid of m x n pixels.
 * @param {Planes} logits
 * @param {number} m
 * @param {number} n
 * @param {Uint8Array} keep 1 where it was painted
 * @param {Uint8Array} remove likewise; counts where both were
 * @param {CorrectionSettings} settings
 */
export function correctedLogits(logits, m, n, keep, remove, settings) {
  const result = zeros(3, m, n);
  const [pet, background] = [0, 1].map(() => new Float32Array(m * n));
  eachRow(logits, m, n, (row, y) => {
    for (let c = 0; c < 3; c++) plane(result, c).set(row.subarray(c * m, (c + 1) * m), y * m);
    for (let x = 0; x < m; x++) {
      pet[y * m + x] = probability(0, row, x, m);
      background[y * m + x] = probability(1, row, x, m);
    }
  });
  const kept = keep.map((painted, i) => painted & (1 - remove[i]));
  const unsure = kept.map((painted, i) =>
    Number(!painted && !remove[i] && Math.max(pet[i], background[i]) <= settings.unsure));
  const steps = Math.max(1, Math.round(settings.reach * Math.max(m, n)));
  const [added, taken] = [kept, remove].map((stroke) => spread(stroke, unsure, m, n, steps));
  const segments = touchedSegments(background.map((value) => Number(value < 0.5)), m, n, kept, remove);
  for (let i = 0; i < m * n; i++) {
    let [name, logit] = [-1, settings.spread];
    if (segments[i] || (taken[i] && !added[i])) name = 1;
    if (added[i] && !taken[i]) name = 0;
    if (kept[i] || remove[i]) [name, logit] = [remove[i], settings.certain];
    if (name >= 0) for (let c = 0; c < 3; c++) plane(result, c)[i] = c === name ? logit : -logit;
  }
  return result;
}

/** A mask and what it reaches over allowed pixels in so many steps. @param {Uint8Array} mask @param {Uint8Array} allowed @param {number} m @param {number} n @param {number} steps */
function spread(mask, allowed, m, n, steps) {
  const reached = mask.slice();
  let front = [...reached.keys()].filter((i) => reached[i]);
  for (let step = 0; step < steps && front.length; step++) {
    const next = [];
    for (const i of front) {
      const x = i % m;
      for (const near of [x ? i - 1 : -1, x < m - 1 ? i + 1 : -1, i - m, i + m]) {
        if (!allowed[near] || reached[near]) continue; // also beyond the frame, where nothing is allowed
        reached[near] = 1;
        next.push(near);
      }
    }
    front = next;
  }
  return reached;
}

/** The segments that go as a whole: removed pixels are in them, none is kept, another is the largest. @param {ArrayLike<number>} inside @param {number} m @param {number} n @param {Uint8Array} kept @param {Uint8Array} removed */
function touchedSegments(inside, m, n, kept, removed) {
  const { regions, areas } = label(Uint8Array.from(inside), m, n);
  const goes = new Uint8Array(areas.length);
  regions.forEach((region, i) => removed[i] && (goes[region] = 1));
  regions.forEach((region, i) => kept[i] && (goes[region] = 0));
  goes[0] = goes[areas.indexOf(Math.max(...areas))] = 0;
  return Uint8Array.from(regions, (region) => goes[region]);
}
