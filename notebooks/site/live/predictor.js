// A photo's way through the network, as `petseg.Predictor` goes it: resize, run, look at each pet again.

import { eachRow, toPlanes } from "./planes.js";
import { BILINEAR, crop, resize } from "./resample.js";
import { mergeLogits, petBoxes, petSquares, probability } from "./two_pass.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./resample.js").Pixels} Pixels */

/**
 * What the build writes to settings.json: the model's card, and the constants of the package.
 * @typedef {object} Settings
 * @property {string} model
 * @property {[number, number]} size the model's working height and width
 * @property {string[]} classes
 * @property {[number, number, number][]} colors of the classes
 * @property {{sure: number, smallest: number}} found
 * @property {import("./two_pass.js").TwoPass} two_pass
 * @property {import("./matting.js").MatteSettings} matte
 * @property {import("./foreground.js").ForegroundSettings} foreground
 * @property {{threshold: number, size: [number, number], most: number, smallest: number, margin: number}} pet_check
 * @property {import("./correction.js").CorrectionSettings} correction
 * @property {import("./edge.js").EdgeSettings} edge
 * @property {[number, number, number]} shadow how far down and how soft, as fractions of the longest side, and how dark
 * @property {[number, number, number][]} confidence colours of no idea, doubt and certainty
 * @property {Object<string, number>} bytes of the large files
 * @property {Object<string, [number, number]>} edges what each choice of the edge does: grow and feather
 * @property {string} legend HTML of the legend, with "nan%" for each fraction
 * @property {string} no_pet
 * @property {string} doubtful
 */

/**
 * Logits of a photo at the working size, after both passes.
 * @param {Pixels} photo RGB
 * @param {(image: Planes) => Promise<Planes>} run the network, from pixels of 0 to 1 to logits
 * @param {Settings} settings
 */
export async function photoLogits(photo, run, settings) {
  const [height, width] = settings.size;
  const look = (/** @type {Pixels} */ part) => run(toPlanes(resize(part, width, height, BILINEAR)));
  let logits = await look(photo);
  for (const box of petBoxes(logits, photo, settings.two_pass)) {
    logits = mergeLogits(logits, await look(crop(photo, box)), box, photo, settings.two_pass);
  }
  return logits;
}

/**
 * Whether there is a pet: the network is sure of one on enough pixels.
 * @param {Planes} logits
 * @param {{sure: number, smallest: number}} settings
 */
export function petFound(logits, { sure, smallest }) {
  const size = logits.width * logits.height;
  let count = 0;
  for (let i = 0; i < size; i++) count += Number(probability(0, logits.data, i, size) > sure);
  return count / size >= smallest;
}

/**
 * P(cat or dog): the largest of the whole photo's and its parts', or the first that leaves no doubt; NaN for a drawing.
 * @param {Pixels} photo RGB
 * @param {Planes} logits
 * @param {(image: Planes) => Promise<number>} classify
 * @param {Settings} settings
 */
export async function petProbability(photo, logits, classify, { pet_check: settings }) {
  const [height, width] = settings.size;
  let largest = 0;
  for (const box of [null, ...petSquares(logits, photo, settings)]) {
    const part = box ? crop(photo, box) : photo;
    const probability = await classify(toPlanes(resize(part, width, height, BILINEAR)));
    if (!(probability < settings.threshold)) return probability;
    largest = Math.max(largest, probability);
  }
  return largest;
}

/**
 * The label of the largest logit at each pixel of the photo. Logits are enlarged and the class is taken last.
 * @param {Planes} logits
 * @param {{width: number, height: number}} photo
 */
export function classMap(logits, { width, height }) {
  const labels = new Uint8Array(width * height);
  eachRow(logits, width, height, (row, y) => {
    for (let x = 0; x < width; x++) {
      const [pet, background, boundary] = [row[x], row[width + x], row[2 * width + x]];
      const larger = Number(background > pet);
      labels[y * width + x] = boundary > Math.max(pet, background) ? 2 : larger;
    }
  });
  return labels;
}
