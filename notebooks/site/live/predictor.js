// A photo's way through the network, as `petseg.Predictor` goes it: resize, run, look at each pet again.

import { eachPixel, probability, toPlanes } from "./planes.js";
import { BILINEAR, crop, resize } from "./resample.js";
import { meanLogits, mergeLogits, petBoxes, petsAreSmall, petSquares } from "./two_pass.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {import("./resample.js").Pixels} Pixels */

/**
 * What the build writes to settings.json: the model's card, and the constants of the package.
 * @typedef {object} Settings
 * @property {string} model
 * @property {[number, number]} size the model's working height and width
 * @property {string[]} classes
 * @property {[number, number, number][]} colors of the classes, then of lines
 * @property {number} hatch pixels from one line to the next
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

/** The part of a photo as the networks take it. @param {Pixels} part RGB @param {{size: [number, number]}} settings */
function input(part, { size: [height, width] }) {
  return toPlanes(resize(part, width, height, BILINEAR));
}

/**
 * Logits of a photo at the working size, after both passes. Where pets are small, the first also sees the photo at twice
 * the size.
 * @param {Pixels} photo RGB
 * @param {(image: Planes) => Promise<Planes>} run the network, from pixels of 0 to 1 to logits
 * @param {Settings} settings
 */
export async function photoLogits(photo, run, settings) {
  let logits = await run(input(photo, settings));
  if (petsAreSmall(logits, settings.two_pass)) {
    const [height, width] = settings.size;
    const larger = await run(input(photo, { size: [2 * height, 2 * width] }));
    logits = meanLogits(logits, larger, settings.two_pass);
  }
  for (const box of petBoxes(logits, photo, settings.two_pass)) {
    logits = mergeLogits(logits, await run(input(crop(photo, box), settings)), box, photo, settings.two_pass);
  }
  return logits;
}

/** Whether there is a pet: the network is sure of one on enough pixels. @param {Planes} logits @param {Settings} settings */
export function petFound(logits, { found: { sure, smallest } }) {
  let count = 0;
  eachPixel(logits, logits, (values) => (count += Number(probability(0, values) > sure)));
  return count >= smallest * logits.width * logits.height;
}

/**
 * P(cat or dog): the largest of the whole photo's and its parts', or the first that leaves no doubt; NaN for a drawing.
 * @param {Pixels} photo RGB
 * @param {Planes} logits
 * @param {(image: Planes) => Promise<number>} classify
 * @param {Settings} settings
 */
export async function petProbability(photo, logits, classify, { pet_check: settings }) {
  let largest = 0;
  for (const part of [photo, ...petSquares(logits, photo, settings).map((box) => crop(photo, box))]) {
    const probability = await classify(input(part, settings));
    if (!(probability < settings.threshold)) return probability;
    largest = Math.max(largest, probability);
  }
  return largest;
}

/** The label of the largest logit at each pixel of the photo. Logits are enlarged, the class is taken last. @param {Planes} logits @param {Size} photo */
export function classMap(logits, photo) {
  const labels = new Uint8Array(photo.width * photo.height);
  eachPixel(logits, photo, (values, i) => {
    labels[i] = values[2] > Math.max(values[0], values[1]) ? 2 : Number(values[1] > values[0]);
  });
  return labels;
}
