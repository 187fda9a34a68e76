// A photo as pixels, upright and in sRGB, or one sentence that says why not.

/** @typedef {import("./resample.js").Pixels} Pixels */

/** A message for the person in front of the page. */
export class PhotoError extends Error {}

// A canvas of more pixels cannot be drawn by the browser of a phone.
const MOST_PIXELS = 4096 * 4096;

/** How files of images begin: JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF. */
const KNOWN = /^(\xff\xd8\xff|.PNG|GIF8|RIFF.{4}WEBP|BM|II\*|MM\0\*|.{4}ftyp)/s;

/**
 * Decodes a file.
 * @param {Blob} file
 * @param {string} name what messages call it
 * @param {number} side the longest of the result
 * @returns {Promise<{photo: Pixels, opacity: Uint8Array | null, note: string}>} RGB, what is see-through laid on
 *   white; the photo's own alpha channel where it has one; and a sentence for the user, or none
 */
export async function decode(file, name, side = Infinity) {
  const bitmap = await bitmapOf(file, name);
  const fits = Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height));
  const scale = Math.min(1, fits, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.max(1, Math.floor(length * scale)));
  const [, ink] = empty(width, height);
  ink.imageSmoothingQuality = "high";
  ink.drawImage(bitmap, 0, 0, width, height);
  const note =
    fits < 1
      ? `${name} has ${bitmap.width} x ${bitmap.height} pixels; its cut-out is made at ${width} x ${height}, so that it fits the memory of a browser.`
      : "";
  bitmap.close();
  return { ...onWhite(ink.getImageData(0, 0, width, height)), note };
}

/** @param {Blob} file @param {string} name */
export async function bitmapOf(file, name) {
  if (!file.size) throw new PhotoError(`${name}: the file is empty. Choose another one.`);
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new PhotoError(`${name}: ${await reason(file, name)}`);
  }
}

/** Why a file cannot be decoded, and what to do. @param {Blob} file @param {string} name */
async function reason(file, name) {
  const bytes = await file.slice(0, 16).arrayBuffer().catch(() => null);
  if (!bytes) return "cannot be read: it is a folder, or has changed or gone since. Choose the photo again.";
  const head = new TextDecoder("latin1").decode(bytes);
  if (/^.{4}ftyp(hei|hev|mif1|msf1)/s.test(head)) {
    return "this browser cannot read HEIC, the format of iPhones. Save the photo as JPEG, or open this page in Safari.";
  }
  return KNOWN.test(head)
    ? "damaged, or of a kind that this browser cannot read. Save it again as JPEG or PNG."
    : "not an image. Choose a photo in JPEG, PNG or WebP format.";
}

/** A canvas, and what draws on it. @param {number} width @param {number} height @returns {[OffscreenCanvas, OffscreenCanvasRenderingContext2D]} */
export function empty(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const ink = canvas.getContext("2d", { willReadFrequently: true });
  if (!ink) throw new PhotoError("This photo is too large for the memory of this browser. Shrink it and try again.");
  return [canvas, ink];
}

/** Splits RGBA into RGB before white, and the alpha channel. @param {ImageData} image @returns {{photo: Pixels, opacity: Uint8Array | null}} */
function onWhite({ data, width, height }) {
  const colors = new Uint8Array(3 * width * height);
  const opacity = new Uint8Array(width * height);
  for (let i = 0; i < opacity.length; i++) {
    const alpha = data[4 * i + 3];
    opacity[i] = alpha;
    for (let c = 0; c < 3; c++) {
      const color = data[4 * i + c];
      colors[3 * i + c] = alpha === 255 ? color : Math.round((color * alpha) / 255 + 255 - alpha);
    }
  }
  return { photo: { data: colors, width, height, channels: 3 }, opacity: opacity.every((alpha) => alpha === 255) ? null : opacity };
}
