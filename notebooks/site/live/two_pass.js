// Two passes: the first finds the pets, the second looks at each of them alone: petseg/inference/two_pass.py.

import { plane, zeros } from "./planes.js";
import { label } from "./regions.js";

/** Left, top, right and bottom, in pixels of the photo. @typedef {[number, number, number, number]} Box */
/** @typedef {import("./planes.js").Planes} Planes */

/**
 * @typedef {object} TwoPass
 * @property {number} beyond
 * @property {number} smallest_pet
 * @property {number} most_pets
 * @property {number} margin
 * @property {number} weight
 * @property {number} fade
 */

/**
 * The softmax of three planes at one pixel: the probability of one class.
 * @param {number} label the class
 * @param {ArrayLike<number>} values logits
 * @param {number} at of the first plane
 * @param {number} step from one plane to the next
 */
export function probability(label, values, at, step) {
  const most = Math.max(values[at], values[at + step], values[at + 2 * step]);
  let total = 0;
  for (let c = 0; c < 3; c++) total += Math.exp(values[at + c * step] - most);
  return Math.exp(values[at + label * step] - most) / total;
}

/**
 * The parts of a photo that the second pass runs on, one for each pet.
 * @param {Planes} logits of the whole photo
 * @param {{width: number, height: number}} photo
 * @param {TwoPass} settings
 * @returns {Box[]}
 */
export function petBoxes(logits, photo, settings) {
  const { width, height } = logits;
  const pet = new Float32Array(width * height); // above 0 where background is less likely than all else
  for (let i = 0; i < pet.length; i++) pet[i] = Math.max(0, 0.5 - probability(1, logits.data, i, pet.length));
  const { regions, areas, count } = label(Uint8Array.from(pet, (value) => Number(value > 0)), width, height, true);
  const largest = Math.max(...areas);
  const pets = Array.from({ length: count }, (_, index) => index + 1)
    .filter((region) => areas[region] >= settings.smallest_pet * largest)
    .sort((one, other) => areas[other] - areas[one])
    .slice(0, settings.most_pets);
  // the specks round a single pet may be its ears
  const alone = (/** @type {number} */ region) =>
    pets.length === 1 ? pet : pet.map((value, i) => (regions[i] === region ? value : 0));
  return merged(pets.map((region) => boxOf(alone(region), width, height, photo, settings)));
}

/**
 * The parts of a photo that the classifier is asked about, a square around each of the largest regions of pet pixels.
 * @param {Planes} logits of the whole photo
 * @param {{width: number, height: number}} photo
 * @param {{most: number, smallest: number, margin: number}} settings
 * @returns {Box[]}
 */
export function petSquares(logits, photo, { most, smallest, margin }) {
  const { width, height } = logits;
  const [pet, background, boundary] = [0, 1, 2].map((index) => plane(logits, index));
  const isPet = Uint8Array.from(pet, (value, i) => Number(value >= Math.max(background[i], boundary[i])));
  const { regions, areas, count } = label(isPet, width, height);
  const largest = Math.max(...areas);
  return Array.from({ length: count }, (_, index) => index + 1)
    .filter((region) => areas[region] >= smallest * largest)
    .sort((one, other) => areas[other] - areas[one])
    .slice(0, most)
    .map((region) => {
      let [left, top, right, bottom] = [width, height, 0, 0];
      regions.forEach((value, i) => {
        if (value !== region) return;
        const [x, y] = [i % width, Math.floor(i / width)];
        [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
      });
      const [x, y] = [(left * photo.width) / width, (top * photo.height) / height];
      const [across, down] = [(right * photo.width) / width - x, (bottom * photo.height) / height - y];
      const side = (1 + 2 * margin) * Math.max(across, down);
      const [first, above] = [x + (across - side) / 2, y + (down - side) / 2];
      return [
        Math.max(0, Math.trunc(first)),
        Math.max(0, Math.trunc(above)),
        Math.min(photo.width, Math.trunc(first + side)),
        Math.min(photo.height, Math.trunc(above + side)),
      ];
    });
}

/**
 * @param {Float32Array} pet
 * @param {number} width
 * @param {number} height
 * @param {{width: number, height: number}} photo
 * @param {TwoPass} settings
 * @returns {Box}
 */
function boxOf(pet, width, height, photo, settings) {
  const columns = new Float32Array(width);
  const rows = new Float32Array(height);
  pet.forEach((value, i) => {
    columns[i % width] += value;
    rows[Math.floor(i / width)] += value;
  });
  const [left, right] = span(columns, photo.width, settings);
  const [top, bottom] = span(rows, photo.height, settings);
  return [left, top, right, bottom];
}

/**
 * First pixel of the box along one side of the photo, and the one past the last.
 * @param {Float32Array} profile how much pet is in each row or column
 * @param {number} length of the photo's side
 * @param {TwoPass} settings
 */
function span(profile, length, { beyond, margin }) {
  const ends = [0]; // fraction of the pet before each edge of the grid
  for (const value of profile) ends.push(ends[ends.length - 1] + value);
  const total = ends[profile.length];
  const crossing = (/** @type {number} */ fraction) => {
    const index = Math.max(1, ends.findIndex((end) => end / total >= fraction));
    const [before, after] = [ends[index - 1] / total, ends[index] / total];
    return (index - 1 + (fraction - before) / (after - before)) / profile.length;
  };
  const [low, high] = [crossing(beyond), crossing(1 - beyond)];
  const around = margin * (high - low);
  const first = Math.max(0, Math.trunc((low - around) * length));
  return [first, Math.min(length, Math.max(first + 1, Math.ceil((high + around) * length)))];
}

/**
 * The boxes, with those that overlap replaced by the box round both, until none overlap.
 * @param {Box[]} boxes
 * @returns {Box[]}
 */
function merged(boxes) {
  for (const [index, a] of boxes.entries()) {
    for (const b of boxes.slice(index + 1)) {
      if (a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]) {
        /** @type {Box} */
        const around = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
        return merged([around, ...boxes.filter((box) => box !== a && box !== b)]);
      }
    }
  }
  return boxes;
}

/**
 * Both passes in one: outside the box the logits of the first, inside it the weighted mean of both.
 * @param {Planes} logits of the whole photo
 * @param {Planes} closer of the box alone
 * @param {Box} box
 * @param {{width: number, height: number}} photo
 * @param {TwoPass} settings
 * @returns {Planes}
 */
export function mergeLogits(logits, closer, [left, top, right, bottom], photo, settings) {
  const { width, height, channels } = logits;
  const x = along(width, left, right, photo.width, closer.width, settings.fade);
  const y = along(height, top, bottom, photo.height, closer.height, settings.fade);
  const result = zeros(channels, width, height);
  for (let c = 0; c < channels; c++) {
    const [far, near, to] = [plane(logits, c), plane(closer, c), plane(result, c)];
    for (let i = 0; i < to.length; i++) {
      const [column, row] = [i % width, Math.floor(i / width)];
      const at = (/** @type {number} */ line) => {
        const before = near[line * closer.width + x.before[column]];
        return before + x.part[column] * (near[line * closer.width + x.after[column]] - before);
      };
      const above = at(y.before[row]);
      const moved = above + y.part[row] * (at(y.after[row]) - above);
      to[i] = far[i] + settings.weight * y.weight[row] * x.weight[column] * (moved - far[i]);
    }
  }
  return result;
}

/**
 * Where the pixels of the grid lie in the box, along one side, and the weight of the second pass at each.
 * @param {number} n pixels of the grid
 * @param {number} low first pixel of the box in the photo
 * @param {number} high the one past its last
 * @param {number} length of the photo's side
 * @param {number} size pixels of the box's own grid
 * @param {number} fade
 */
function along(n, low, high, length, size, fade) {
  const [before, after] = [new Int32Array(n), new Int32Array(n)];
  const [part, weight] = [new Float32Array(n), new Float32Array(n)];
  for (let i = 0; i < n; i++) {
    const inside = (((i + 0.5) * length) / n - low) / (high - low); // 0 to 1 within the box
    const at = Math.min(size - 1, Math.max(0, inside * size - 0.5));
    before[i] = Math.floor(at);
    after[i] = Math.min(size - 1, before[i] + 1);
    part[i] = at - before[i];
    const fromLow = low > 0 ? inside / fade : 1; // at the photo's own frame the box does not fade out
    const fromHigh = high < length ? (1 - inside) / fade : 1;
    weight[i] = Math.min(1, Math.max(0, Math.min(fromLow, fromHigh)));
  }
  return { before, after, part, weight };
}
