// The pictures of a photo: cut-out before a background, overlay, class map, confidence.

import { movedEdge, blurredAlpha, petFrame, petMiddle, recolored, within } from "./edge.js";
import { blurredBackground } from "./foreground.js";
import { empty } from "./photo.js";
import { classMap } from "./predictor.js";
import { clamp, eachPixel, probability } from "./planes.js";

/** @typedef {import("./regions.js").Box} Box */
/** @typedef {import("./planes.js").Planes} Planes */
/** @typedef {import("./planes.js").Size} Size */
/** @typedef {import("./predictor.js").Settings} Settings */
/** @typedef {import("./resample.js").Pixels} Pixels */

const LINE = 3; // the colour after those of the classes

/** A photo, and what is known of its pixels. @typedef {{photo: Pixels, opacity: Uint8Array | null, logits: Planes, alpha: Uint8Array, pet: Uint8ClampedArray<ArrayBuffer>}} View */
/** How the cut-out is to be. @typedef {{background: string, color: string, crop: boolean, edge: [number, number], shadow: boolean, image: ImageBitmap | null}} Options */

/**
 * The cut-out as its owner wants it, the part of the photo that it shows, and where the pet's middle is in it.
 * @param {View} view
 * @param {Options} options
 * @param {Settings} settings
 */
export function drawCutout(view, options, settings) {
  const { photo, opacity } = view;
  const moved = options.edge.some(Boolean);
  const alpha = moved ? within(movedEdge(photo, view.alpha, options.edge, settings.edge), opacity) : view.alpha;
  const pet = moved ? recolored(photo, view.alpha, alpha, settings.foreground) : view.pet;
  const frame = options.crop ? petFrame(alpha, photo, settings.edge) : wholeOf(photo);
  const [canvas, ink] = empty(photo.width, photo.height);
  paintBackground(ink, view, options, frame, settings);
  if (options.shadow) {
    const [fall, soft, dark] = settings.shadow; // the first two as parts of the longest side of what is shown
    const longest = Math.max(frame[2] - frame[0], frame[3] - frame[1]);
    const deviation = (1000 * soft * longest) / Math.max(photo.width, photo.height);
    const shade = new Uint8ClampedArray(4 * alpha.length);
    blurredAlpha(photo, alpha, deviation, settings.edge.side).forEach((value, i) => (shade[4 * i + 3] = dark * value));
    ink.drawImage(pixels(shade, photo), 0, fall * longest);
  }
  ink.drawImage(pixels(pet, photo), 0, 0);
  return { canvas: cropped(canvas, frame), frame, line: petMiddle(alpha, photo.width, frame) };
}

/** @param {OffscreenCanvasRenderingContext2D} ink @param {View} view @param {Options} options @param {Box} frame @param {Settings} settings */
function paintBackground(ink, { photo, alpha }, { background, color, image }, frame, settings) {
  const [left, top, right, bottom] = frame;
  const [W, H] = [right - left, bottom - top];
  if (background === "blur") ink.drawImage(opaque(blurredBackground(photo, alpha, settings.foreground)), 0, 0);
  if (background === "white" || background === "color" || (background === "image" && image)) {
    ink.fillStyle = background === "color" ? color : "#fff"; // an own picture may be transparent in parts
    ink.fillRect(left, top, W, H);
  }
  if (background !== "image" || !image) return;
  const scale = Math.max(W / image.width, H / image.height); // fills the frame; what is left over is cut off evenly
  const [w, h] = [W / scale, H / scale];
  ink.imageSmoothingQuality = "high";
  ink.drawImage(image, (image.width - w) / 2, (image.height - h) / 2, w, h, left, top, W, H);
}

/**
 * The photo with classes in colour, and a dark line along the pet's edge that is visible without colour.
 * @param {View} view @param {number} opacity @param {number[]} classes @param {Settings} settings
 */
export function drawOverlay({ photo, logits }, opacity, classes, { colors }) {
  const labels = classMap(logits, photo);
  edgeOf(labels, photo).forEach((isEdge, i) => (labels[i] = isEdge ? LINE : labels[i]));
  // the line fades more slowly than the areas, so that a faint overlay still shows it
  const strength = colors.map((_, label) => (classes.includes(label) ? opacity : 0));
  strength[LINE] = classes.includes(0) ? Math.sqrt(opacity) : 0;
  return painted(photo, labels, colors, strength);
}

/** The class map; the boundary may be hatched, as in the legend. @param {View} view @param {boolean} hatched @param {Settings} settings */
export function drawClassMap({ photo, logits }, hatched, { colors, hatch }) {
  const labels = classMap(logits, photo);
  const isLine = (/** @type {number} */ i) => ((i % photo.width) + Math.floor(i / photo.width)) % hatch === 0;
  if (hatched) labels.forEach((label, i) => (labels[i] = label === 2 && isLine(i) ? LINE : label));
  return painted(photo, labels, colors, colors.map(() => 1));
}

/** @param {Pixels} photo @param {Uint8Array} labels @param {number[][]} colors @param {number[]} strength of each colour */
function painted(photo, labels, colors, strength) {
  const data = Uint8Array.from(photo.data);
  labels.forEach((label, i) => {
    for (let c = 0; c < 3; c++) data[3 * i + c] += strength[label] * (colors[label][c] - data[3 * i + c]);
  });
  return opaque({ ...photo, data });
}

/** Which pixels of the pet are close to another class in their row or column. @param {Uint8Array} labels @param {Size} size */
function edgeOf(labels, { width, height }) {
  const reach = Math.max(1, Math.round(Math.max(width, height) / 300));
  const edge = new Uint8Array(labels.length);
  const mark = (/** @type {number} */ first, /** @type {number} */ step, /** @type {number} */ count) => {
    for (let n = 0, i = first, near = 0; n < count; n++, i += step) {
      if (labels[i]) near = reach;
      else if (near-- > 0) edge[i] = 1;
    }
  };
  for (let y = 0; y < height; y++) {
    mark(y * width, 1, width);
    mark((y + 1) * width - 1, -1, width);
  }
  for (let x = 0; x < width; x++) {
    mark(x, width, height);
    mark((height - 1) * width + x, -width, height);
  }
  return edge;
}

/** The largest probability at each pixel, dark to light. @param {View} view @param {Settings} settings */
export function drawConfidence({ photo, logits }, { confidence }) {
  const data = new Uint8Array(photo.data.length);
  eachPixel(logits, photo, (values, i) => {
    const step = clamp(3 * Math.max(...[0, 1, 2].map((name) => probability(name, values))) - 1, 0, 1.999);
    const [low, high] = confidence.slice(Math.floor(step));
    for (let c = 0; c < 3; c++) data[3 * i + c] = Math.round(low[c] + (step % 1) * (high[c] - low[c]));
  });
  return opaque({ ...photo, data });
}

/** @param {Size} photo @returns {Box} */
export function wholeOf({ width, height }) {
  return [0, 0, width, height];
}

/** @param {OffscreenCanvas} canvas @param {Box} frame */
export function cropped(canvas, [left, top, right, bottom]) {
  if (right - left === canvas.width && bottom - top === canvas.height) return canvas;
  const [part, ink] = empty(right - left, bottom - top);
  ink.drawImage(canvas, -left, -top);
  return part;
}

/** A canvas of RGB pixels. @param {Pixels} photo */
export function opaque({ data, width, height }) {
  const colors = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) colors[4 * i + c] = data[3 * i + c];
    colors[4 * i + 3] = 255;
  }
  return pixels(colors, { width, height });
}

/** A canvas of RGBA pixels. @param {Uint8ClampedArray<ArrayBuffer>} colors @param {Size} size */
function pixels(colors, { width, height }) {
  const [canvas, ink] = empty(width, height);
  ink.putImageData(new ImageData(colors, width, height), 0, 0);
  return canvas;
}
