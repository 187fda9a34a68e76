// The work of the page, in a thread of its own: the page stays quick while a photo is segmented.

import * as ort from "./ort.wasm.min.mjs";

import { edited, petRegions } from "./correction.js";
import { cropped, drawClassMap, drawConfidence, drawCutout, drawOverlay, opaque, wholeOf } from "./draw.js";
import { within } from "./edge.js";
import { cutout } from "./foreground.js";
import { matte } from "./matting.js";
import { bitmapOf, decode, empty, PhotoError } from "./photo.js";
import { classMap, petFound, petProbability, photoLogits } from "./predictor.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./predictor.js").Settings} Settings */
/** @typedef {import("./correction.js").Edit} Edit */
/** @typedef {import("./draw.js").View} View */
/** A file that is open, and what the network found in it; pixels are decoded again when they are needed. @typedef {{file: Blob, name: string, logits: Planes, doubtful: boolean, edits: Edit[]}} Entry */

const SIDE = 1440; // the longest of a picture for the screen, in pixels
const RUNTIME = "ort-wasm-simd-threaded.wasm";

const here = new URL(".", import.meta.url).href;
/** @type {Map<number, Entry>} */
const entries = new Map();
/** The views of the photos that were drawn last: one for the screen, one of the whole photo. @type {Map<boolean, {number: number, view: View}>} */
const views = new Map();
/** @type {ImageBitmap | null} */
let background = null;
const loaded = load();
/** @type {Promise<ort.InferenceSession> | null} */
let classifier = null;
// after the model, so that a photo can be chosen earlier; what fails is said when a photo comes, and tried again
loaded.then(classifierOf).catch(() => {});

async function load() {
  /** @type {Settings} */
  const settings = await get("settings.json").then((answer) => answer.json());
  const total = settings.bytes[RUNTIME] + settings.bytes["model.onnx"];
  let done = 0;
  const count = (/** @type {number} */ more) => postMessage({ done: (done += more), total });
  const [runtime, model] = await Promise.all([bytes(RUNTIME, count), bytes("model.onnx", count)]);
  ort.env.wasm.wasmPaths = here;
  ort.env.wasm.wasmBinary = runtime.buffer;
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  return { settings, model: await session(model) };
}

/** A network. @param {Uint8Array} file */
function session(file) {
  return ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
}

/** The network that says whether a pet is one; where it did not load, the next call tries again. */
function classifierOf() {
  classifier ??= bytes("classifier.onnx").then(session);
  classifier.catch(() => (classifier = null));
  return classifier;
}

/** The bytes of a file of the page. @param {string} name @param {(more: number) => void} count is told of each part */
async function bytes(name, count = () => {}) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ ((await get(name)).body).getReader();
  const parts = /** @type {BlobPart[]} */ ([]);
  for (let part = await reader.read(); part.value; part = await reader.read()) {
    parts.push(/** @type {Uint8Array<ArrayBuffer>} */ (part.value));
    count(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** A file of the page. @param {string} name */
async function get(name) {
  const answer = await fetch(here + name);
  const type = answer.headers.get("content-type") ?? "";
  if (answer.ok && !type.startsWith("text/html")) return answer;
  const problem = answer.ok ? `a page instead of ${name}` : `no ${name} (${answer.status})`;
  throw new PhotoError(`The server sends ${problem}. Have it send all files of the folder live.`);
}

/**
 * @param {ort.InferenceSession} session
 * @param {Planes} image
 * @returns {Promise<Planes>}
 */
async function run(session, { data, channels, width, height }) {
  const image = new ort.Tensor("float32", data, [1, channels, height, width]);
  const { [session.outputNames[0]]: result } = await session.run({ image });
  return { data: /** @type {Float32Array} */ (result.data), channels: result.dims[1], width, height };
}

/** Segments a photo. @param {{file: Blob, name: string, number: number}} request */
async function open({ file, name, number }) {
  const { settings, model } = await loaded;
  const begun = performance.now();
  const { photo, note } = await decode(file, name);
  const logits = await photoLogits(photo, (image) => run(model, image), settings);
  const seconds = (performance.now() - begun) / 1000;
  const classify = async (/** @type {Planes} */ image) => (await run(await classifierOf(), image)).data[0];
  const segmented = petFound(logits, settings);
  const doubtful = segmented && (await petProbability(photo, logits, classify, settings)) < settings.pet_check.threshold;
  entries.set(number, { file, name, logits, doubtful, edits: [] });
  const said = await about({ number });
  const square = await thumbnail(opaque((await viewed(number, false)).photo));
  return { size: [photo.width, photo.height], seconds, note, thumbnail: square, ...said };
}

/** What the page says of an open photo after its edits. @param {{number: number, edits?: Edit[], sure?: boolean}} request */
async function about({ number, edits, sure = false }) {
  const entry = entryOf(number);
  const { settings } = await loaded;
  if (sure) entry.doubtful = false;
  if (edits) entry.edits = edits;
  forget(number);
  const { photo, logits } = await viewed(number, false);
  const segmented = petFound(logits, settings);
  const counts = [0, 0, 0];
  for (const name of classMap(logits, photo)) counts[name]++;
  const fractions = counts.map((count) => count / (photo.width * photo.height));
  const shown = petRegions(entry.logits, photo, settings.correction).map(() => true);
  for (const edit of entry.edits) if (edit.type === "pet") shown[edit.index] = edit.shown;
  const doubtful = segmented && entry.doubtful && !entry.edits.length; // who corrects a pet says that it is one
  return { found: segmented && !doubtful, doubtful, fractions, pets: shown };
}

/** @param {number} number */
function entryOf(number) {
  const entry = entries.get(number);
  if (!entry) throw new PhotoError("This photo is closed. Choose it again.");
  return entry;
}

/** Drops the views of a photo. @param {number} number */
function forget(number) {
  for (const [full, kept] of views) if (kept.number === number) views.delete(full);
}

/** The pixels of an open photo, at its own size or for the screen. @param {number} number @param {boolean} full @returns {Promise<View>} */
async function viewed(number, full) {
  const last = views.get(full);
  if (last?.number === number) return last.view;
  views.delete(full); // its memory is free for the next photo
  const { settings } = await loaded;
  const entry = entryOf(number);
  const { photo, opacity } = await decode(entry.file, entry.name, full ? Infinity : SIDE);
  const logits = entry.edits.length ? edited(entry.logits, photo, entry.edits, settings.correction) : entry.logits;
  const alpha = within(matte(photo, logits, settings.matte), opacity);
  const view = { photo, opacity, logits, alpha, pet: cutout(photo, alpha, settings.foreground) };
  views.set(full, { number, view });
  return view;
}

/**
 * A picture of an open photo as a file: before, after, overlay, mask or confidence.
 * @param {{number: number, kind: string, full: boolean, options: any, type: string}} request
 */
async function picture({ number, kind, full, options, type }) {
  const { settings } = await loaded;
  const view = await viewed(number, full);
  const { photo } = view;
  let [canvas, frame, line] = [/** @type {OffscreenCanvas | null} */ (null), wholeOf(photo), 0.5];
  if (kind === "overlay") canvas = drawOverlay(view, options.opacity, options.classes, settings);
  else if (kind === "mask") canvas = drawClassMap(view, !full, settings); // files hold the plain labels
  else if (kind === "confidence") canvas = drawConfidence(view, settings);
  else ({ canvas, frame, line } = drawCutout(view, { ...options, image: background }, settings));
  if (kind === "before") canvas = cropped(opaque(photo), frame);
  return { blob: await canvas.convertToBlob({ type, quality: 0.92 }), frame, line, size: [photo.width, photo.height] };
}

/** A square of the middle. @param {OffscreenCanvas} canvas */
async function thumbnail(canvas) {
  const side = Math.min(canvas.width, canvas.height);
  const [small, ink] = empty(128, 128);
  ink.drawImage(canvas, (canvas.width - side) / 2, (canvas.height - side) / 2, side, side, 0, 0, 128, 128);
  return small.convertToBlob({ type: "image/jpeg" });
}

/** Keeps a picture to put behind the pets. @param {{file: Blob, name: string}} request */
async function useBackground({ file, name }) {
  background = await bitmapOf(file, name);
  return {};
}

/** @param {{number: number}} request */
async function close({ number }) {
  entries.delete(number);
  forget(number);
  return {};
}

/** @type {Object<string, (request: any) => Promise<object>>} */
const ANSWERS = { settings: async () => (await loaded).settings, open, about, picture, useBackground, close };

let queue = Promise.resolve();

addEventListener("message", ({ data: { id, question, ...request } }) => {
  queue = queue.then(async () => {
    try {
      postMessage({ id, answer: await ANSWERS[question](request) });
    } catch (error) {
      const known = error instanceof PhotoError;
      const text = known ? error.message : `This did not work (${error}). Try another photo, or load the page again.`;
      postMessage({ id, error: text });
    }
  });
});
