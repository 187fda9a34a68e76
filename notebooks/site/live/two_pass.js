// Two passes: the first finds the pets, the second looks at each of them alone: petseg/inference/two_pass.py.

import { clamp, eachPixel, plane, probability, reader, zeros } from "./planes.js";
import { boxOf, label, largest } from "./regions.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {import("./regions.js").Box} Box */
/** @typedef {Record<"least" | "beyond" | "smallest_pet" | "most_pets" | "margin" | "weight" | "fade", number> & {small: [number, number]}} TwoPass */

/**
 * Whether the photo is worth a pass at twice the size: pets and their boundary fill little of it, but not nothing.
 * @param {Planes} logits of the whole photo
 * @param {TwoPass} settings
 */
export function petsAreSmall(logits, { small: [least, most] }) {
  let count = 0;
  eachPixel(logits, logits, (values) => (count += Number(probability(1, values) < 0.5)));
  const filled = count / (logits.width * logits.height);
  return least <= filled && filled < most;
}

/**
 * Logits of the mean probabilities of both.
 * @param {Planes} logits of the whole photo
 * @param {Planes} larger of the whole photo at twice the size
 * @param {TwoPass} settings
 */
export function meanLogits(logits, larger, { least }) {
  const { width, height, channels } = logits;
  const mean = zeros(channels, width, height);
  const add = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ at, /** @type {number} */ weight) => {
    for (let c = 0; c < channels; c++) mean.data[c * width * height + at] += weight * probability(c, values);
  };
  eachPixel(logits, logits, (values, i) => add(values, i, 1 / 2));
  eachPixel(larger, larger, (values, i) => {
    const [row, column] = [Math.floor(i / larger.width), i % larger.width];
    add(values, Math.floor(row / 2) * width + Math.floor(column / 2), 1 / 8); // four of them lie in each pixel
  });
  return { ...mean, data: mean.data.map((value) => Math.log(Math.max(least, value))) };
}

/**
 * The parts of a photo that the second pass runs on, one for each pet.
 * @param {Planes} logits of the whole photo
 * @param {Size} photo
 * @param {TwoPass} settings
 * @returns {Box[]}
 */
export function petBoxes(logits, photo, settings) {
  const pet = new Float32Array(logits.width * logits.height); // above 0 where background is less likely than all else
  eachPixel(logits, logits, (values, i) => (pet[i] = Math.max(0, 0.5 - probability(1, values))));
  const found = label(Uint8Array.from(pet, (value) => Number(value > 0)), logits, true);
  const pets = largest(found, settings.smallest_pet, settings.most_pets);
  // the specks round a single pet may be its ears
  const alone = (/** @type {number} */ region) =>
    pets.length === 1 ? pet : pet.map((value, i) => (found.regions[i] === region ? value : 0));
  return merged(pets.map((region) => massBox(alone(region), logits, photo, settings)));
}

/**
 * The parts of a photo that the classifier is asked about, a square around each of the largest regions of pet pixels.
 * @param {Planes} logits of the whole photo
 * @param {Size} photo
 * @param {{most: number, smallest: number, margin: number}} settings
 * @returns {Box[]}
 */
export function petSquares(logits, photo, { most, smallest, margin }) {
  const [pet, background, boundary] = [0, 1, 2].map((index) => plane(logits, index));
  const isPet = Uint8Array.from(pet, (value, i) => Number(value >= Math.max(background[i], boundary[i])));
  const found = label(isPet, logits);
  const [across, down] = [photo.width / logits.width, photo.height / logits.height];
  return largest(found, smallest, most).map((region) => {
    const box = boxOf(found.regions, logits, (value) => value === region) ?? [0, 0, 0, 0];
    const [left, top, right, bottom] = box.map((value, i) => value * (i % 2 ? down : across));
    const half = ((1 + 2 * margin) * Math.max(right - left, bottom - top)) / 2;
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    return [
      Math.max(0, Math.trunc(x - half)),
      Math.max(0, Math.trunc(y - half)),
      Math.min(photo.width, Math.trunc(x + half)),
      Math.min(photo.height, Math.trunc(y + half)),
    ];
  });
}

/**
 * The box round a pet, without the little of it that lies far from the rest, and with a margin.
 * @param {Float32Array} pet
 * @param {Size} size of the grid
 * @param {Size} photo
 * @param {TwoPass} settings
 * @returns {Box}
 */
function massBox(pet, { width, height }, photo, settings) {
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
 * Both passes in one: outside the box the logits of the first, inside it the weighted mean of both, which fades out
 * towards the box's sides unless they are the photo's own.
 * @param {Planes} logits of the whole photo
 * @param {Planes} closer of the box alone
 * @param {Box} box
 * @param {Size} photo
 * @param {TwoPass} settings
 * @returns {Planes}
 */
export function mergeLogits(logits, closer, [left, top, right, bottom], photo, { weight, fade }) {
  const { width, height, channels } = logits;
  const read = reader(closer);
  const faded = (/** @type {number} */ inside, /** @type {boolean} */ isFirst, /** @type {boolean} */ isLast) =>
    clamp(Math.min(isFirst ? 1 : inside / fade, isLast ? 1 : (1 - inside) / fade), 0, 1);
  const result = zeros(channels, width, height);
  for (let i = 0; i < width * height; i++) {
    // where the pixel lies in the box, 0 to 1
    const across = ((((i % width) + 0.5) * photo.width) / width - left) / (right - left);
    const down = (((Math.floor(i / width) + 0.5) * photo.height) / height - top) / (bottom - top);
    const share = faded(across, left === 0, right === photo.width) * faded(down, top === 0, bottom === photo.height);
    const near = read(across, down);
    for (let c = 0, at = i; c < channels; c++, at += width * height) {
      result.data[at] = logits.data[at] + weight * share * (near[c] - logits.data[at]);
    }
  }
  return result;
}
