// The work of the page, in a thread of its own: the page stays quick while a photo is segmented.

import * as ort from "./ort.wasm.min.mjs";

import { blurredBackground, cutout } from "./foreground.js";
import { matte } from "./matting.js";
import { decode, PhotoError } from "./photo.js";
import { classMap, petFound, petProbability, photoLogits } from "./predictor.js";

/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./predictor.js").Settings} Settings */
/** @typedef {import("./resample.js").Pixels} Pixels */

/**
 * What is known of the photo that was segmented last.
 * @typedef {{photo: Pixels, logits: Planes, alpha: Uint8Array, pet: Uint8ClampedArray<ArrayBuffer>}} Result
 */

const SIDE = 1280; // the longest of a picture for the screen, in pixels

const here = new URL(".", import.meta.url).href;
const loaded = load();
// after the model, so that a photo can be chosen earlier
const classifier = loaded.then(() => session("classifier.onnx"));
classifier.catch(() => {}); // said when a photo comes
/** @type {Result | undefined} */
let last;

async function load() {
  ort.env.wasm.wasmPaths = here;
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  const [settings, model] = await Promise.all([
    get("settings.json").then((answer) => answer.json()),
    session("model.onnx"),
  ]);
  return { settings: /** @type {Settings} */ (settings), model };
}

/** A network. @param {string} name */
async function session(name) {
  const file = await get(name).then((answer) => answer.arrayBuffer());
  return ort.InferenceSession.create(new Uint8Array(file), { executionProviders: ["wasm"] });
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

/**
 * Segments a photo and keeps the result for the pictures that are asked for next.
 * @param {{file: Blob, name: string}} request
 */
async function segment({ file, name }) {
  const { settings, model } = await loaded;
  last = undefined; // its memory is free for the next photo
  const { photo, opacity, note } = await decode(file, name);
  const logits = await photoLogits(photo, (image) => run(model, image), settings);
  const classify = async (/** @type {Planes} */ image) => (await run(await classifier, image)).data[0];
  const found = petFound(logits, settings.found);
  const doubtful = found && (await petProbability(photo, logits, classify, settings)) < settings.pet_check.threshold;
  const alpha = matte(photo, logits, settings.matte);
  opacity?.forEach((value, i) => (alpha[i] = Math.min(alpha[i], value)));
  last = { photo, logits, alpha, pet: cutout(photo, alpha, settings.foreground) };
  return { width: photo.width, height: photo.height, found, doubtful, note };
}

/**
 * A picture of the last result as a file.
 * @param {{kind: string, color?: string, small?: boolean}} request a kind of `draw`; small: for the screen
 */
async function picture({ kind, color, small }) {
  if (!last) throw new PhotoError("There is no photo yet. Choose one first.");
  const drawn = draw(kind, last, (await loaded).settings, color);
  const scale = small ? Math.min(1, SIDE / Math.max(drawn.width, drawn.height)) : 1;
  const type = kind === "photo" || (kind === "blur" && small) ? "image/jpeg" : "image/png";
  return { blob: await scaled(drawn, scale).convertToBlob({ type, quality: 0.92 }) };
}

/**
 * @param {string} kind photo, cutout (transparent), color, blur, background (blurred, without the pet) or classes
 * @param {Result} result
 * @param {Settings} settings
 * @param {string} [color]
 */
function draw(kind, { photo, logits, alpha, pet }, settings, color = "") {
  const { width, height } = photo;
  if (kind === "photo") return opaque(photo);
  if (kind === "classes") {
    const colors = new Uint8Array(photo.data.length);
    classMap(logits, photo).forEach((label, i) => colors.set(settings.colors[label], 3 * i));
    return opaque({ data: colors, width, height });
  }
  const front = new OffscreenCanvas(width, height);
  inkOf(front).putImageData(new ImageData(pet, width, height), 0, 0);
  if (kind === "cutout") return front;
  const canvas =
    kind === "color" ? plain(width, height, color) : opaque(blurredBackground(photo, alpha, settings.foreground));
  if (kind !== "background") inkOf(canvas).drawImage(front, 0, 0);
  return canvas;
}

/** @param {number} width @param {number} height @param {string} color as CSS writes it */
function plain(width, height, color) {
  const canvas = new OffscreenCanvas(width, height);
  const ink = inkOf(canvas);
  ink.fillStyle = color;
  ink.fillRect(0, 0, width, height);
  return canvas;
}

/** A canvas of RGB pixels. @param {{data: Uint8Array, width: number, height: number}} pixels */
function opaque({ data, width, height }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[3 * i + c];
    image.data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(width, height);
  inkOf(canvas).putImageData(image, 0, 0);
  return canvas;
}

/** @param {OffscreenCanvas} canvas @param {number} scale */
function scaled(canvas, scale) {
  if (scale === 1) return canvas;
  const small = new OffscreenCanvas(Math.round(canvas.width * scale), Math.round(canvas.height * scale));
  const ink = inkOf(small);
  ink.imageSmoothingQuality = "high";
  ink.drawImage(canvas, 0, 0, small.width, small.height);
  return small;
}

/** @param {OffscreenCanvas} canvas */
function inkOf(canvas) {
  const ink = canvas.getContext("2d");
  if (!ink) throw new PhotoError("This photo is too large for the memory of this browser. Shrink it and try again.");
  return ink;
}

/** @type {Object<string, (request: any) => Promise<object>>} */
const ANSWERS = { settings: async () => (await loaded).settings, segment, picture };

let queue = Promise.resolve();

addEventListener("message", ({ data: request }) => {
  queue = queue.then(async () => {
    try {
      postMessage({ id: request.id, answer: await ANSWERS[request.type](request) });
    } catch (error) {
      const known = error instanceof PhotoError;
      const text = known ? error.message : `This did not work (${error}). Try another photo, or load the page again.`;
      postMessage({ id: request.id, error: text });
    }
  });
});
