// Keep and remove: strokes of the brush, pets that are left out, and the logits that follow: petseg/inference/correction.py.

import { drawLine } from "./front/brush.js";
import { silhouette } from "./matting.js";
import { eachPixel, fitted, plane, probability, zeros } from "./planes.js";
import { label } from "./regions.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {Record<"side" | "unsure" | "reach" | "spread" | "certain" | "smallest_pet", number>} CorrectionSettings */

/** A line of the brush, in fractions of the photo's sides. @typedef {{type: "stroke", keep: boolean, radius: number, points: [number, number][]}} Stroke */
/** The choice whether one of several pets is shown. @typedef {{type: "pet", index: number, shown: boolean}} Pet */
/** @typedef {Stroke | Pet} Edit */

/**
 * The pixels of each pet on the grid on which strokes are followed, from left to right; none if there is only one.
 * @param {Planes} logits
 * @param {Size} photo
 * @param {CorrectionSettings} settings
 */
export function petRegions(logits, photo, settings) {
  const grid = fitted(photo, settings.side);
  const { regions, areas } = label(silhouette(logits, grid, settings.smallest_pet, settings.certain), grid);
  const middles = new Float64Array(areas.length); // from the left
  regions.forEach((region, i) => (middles[region] += (i % grid.width) / areas[region]));
  const numbers = [...areas.keys()].slice(1).sort((one, other) => middles[one] - middles[other]);
  return numbers.length < 2 ? [] : numbers.map((number) => regions.map((region) => Number(region === number)));
}

/** The pixels of the grid that a stroke covers. @param {Stroke} stroke @param {Size} grid */
function covered({ radius, points }, { width, height }) {
  const ink = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d"));
  drawLine(ink, points, radius + 0.5 / Math.max(width, height), width, height); // also pixels that are half covered
  const { data } = ink.getImageData(0, 0, width, height);
  return Uint8Array.from({ length: width * height }, (_, i) => Number(data[4 * i + 3] > 127));
}

/**
 * The logits after all edits; of those that cover a pixel the last one counts.
 * @param {Planes} logits
 * @param {Size} photo
 * @param {Edit[]} edits
 * @param {CorrectionSettings} settings
 */
export function edited(logits, photo, edits, settings) {
  const grid = fitted(photo, settings.side);
  const [keep, remove] = [0, 1].map(() => new Uint8Array(grid.width * grid.height));
  const pets = petRegions(logits, photo, settings);
  for (const edit of edits) {
    const mask = edit.type === "pet" ? pets[edit.index] : covered(edit, grid);
    mask.forEach((inside, i) => {
      if (!inside) return;
      keep[i] = Number(edit.type === "stroke" && edit.keep);
      remove[i] = Number(edit.type === "stroke" ? !edit.keep : !edit.shown);
    });
  }
  return keep.includes(1) || remove.includes(1) ? correctedLogits(logits, grid, keep, remove, settings) : logits;
}

/**
 * Logits that follow the strokes, on the grid.
 * @param {Planes} logits
 * @param {Size} grid
 * @param {Uint8Array} keep 1 where it was painted
 * @param {Uint8Array} remove likewise; counts where both were
 * @param {CorrectionSettings} settings
 */
export function correctedLogits(logits, grid, keep, remove, settings) {
  const size = grid.width * grid.height;
  const result = zeros(3, grid.width, grid.height);
  const [pet, background] = [0, 1].map(() => new Float32Array(size));
  eachPixel(logits, grid, (values, i) => {
    values.forEach((value, c) => (result.data[c * size + i] = value));
    [pet[i], background[i]] = [probability(0, values), probability(1, values)];
  });
  const kept = keep.map((painted, i) => painted & (1 - remove[i]));
  const unsure = kept.map((painted, i) =>
    Number(!painted && !remove[i] && Math.max(pet[i], background[i]) <= settings.unsure));
  const steps = Math.max(1, Math.round(settings.reach * Math.max(grid.width, grid.height)));
  const [added, taken] = [kept, remove].map((stroke) => spread(stroke, unsure, grid.width, steps));
  const goes = touched(Uint8Array.from(background, (value) => Number(value < 0.5)), grid, kept, remove);
  for (let i = 0; i < size; i++) {
    let [name, logit] = [-1, settings.spread];
    if (goes[i] || (taken[i] && !added[i])) name = 1;
    if (added[i] && !taken[i]) name = 0;
    if (kept[i] || remove[i]) [name, logit] = [remove[i], settings.certain];
    if (name >= 0) for (let c = 0; c < 3; c++) plane(result, c)[i] = c === name ? logit : -logit;
  }
  return result;
}

/** A mask and what it reaches over allowed pixels in so many steps. @param {Uint8Array} mask @param {Uint8Array} allowed @param {number} width @param {number} steps */
function spread(mask, allowed, width, steps) {
  const reached = mask.slice();
  let front = [...reached.keys()].filter((i) => reached[i]);
  for (let step = 0; step < steps && front.length; step++) {
    const next = [];
    for (const i of front) {
      const x = i % width;
      for (const near of [x ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
        if (!allowed[near] || reached[near]) continue; // also beyond the frame, where nothing is allowed
        reached[near] = 1;
        next.push(near);
      }
    }
    front = next;
  }
  return reached;
}

/** Segments that go as a whole: removed pixels are in them, none is kept, another is the largest. @param {Uint8Array} inside @param {Size} grid @param {Uint8Array} kept @param {Uint8Array} removed */
function touched(inside, grid, kept, removed) {
  const { regions, areas } = label(inside, grid);
  const goes = new Uint8Array(areas.length);
  regions.forEach((region, i) => removed[i] && (goes[region] = 1));
  regions.forEach((region, i) => kept[i] && (goes[region] = 0));
  goes[0] = goes[areas.indexOf(Math.max(...areas))] = 0;
  return regions.map((region) => goes[region]);
}
