// The engine of the page: what petseg/apps/panel/panel.py is in a notebook. A worker computes; nothing is sent anywhere.

import { zip } from "./zip.js";

/** @typedef {import("./front/front.js").Engine} Engine */
/** @typedef {import("./front/front.js").Shown} Shown */
/** @typedef {import("./front/front.js").Picture} Picture */
/** @typedef {(question: string, request?: object) => Promise<any>} Ask */

/** An open photo, and what the worker says of it. @typedef {{number: number, name: string, width: number, found: boolean, doubtful: boolean, caption: string, fractions: number[], pets: boolean[], edits: object[]}} Entry */

const CUTOUT = ["background", "color", "crop", "edge", "shadow", "sharp", "correcting"];
/** @type {Object<string, string>} */
const ALTS = {
  overlay: "The photo with classes painted over",
  mask: "Pet, background and boundary in three colours",
  confidence: "Map of how sure the model is, dark to light",
};
const DETAILS = Object.keys(ALTS);
const LONGEST = 230; // bytes of a name without its ending: file systems allow 255 in all
const TYPES = { png: "image/png", webp: "image/webp", jpg: "image/jpeg" };

/** @implements {Engine} */
export class PageEngine {
  /** @param {Object<string, any>} state @param {Ask} ask the worker */
  constructor(state, ask) {
    this.wholePage = true;
    this.state = state;
    this.ask = ask;
    this.changes = new EventTarget();
    /** @type {Map<number, Entry>} */
    this.entries = new Map();
    /** @type {Promise<any>} */
    this.queue = Promise.resolve();
    this.present = (/** @type {Shown} */ _) => {};
    /** @type {any} */
    this.settings = null;
    // fetched with the page, so that a click on one fetches nothing
    /** @type {Map<string, Promise<Blob>>} */
    this.samples = new Map(state.samples.map((/** @type {string} */ name) => [name, sample(name)]));
    this.opened = 0; // photos, closed ones too
    this.settled = false; // whether a photo of the last batch is shown that has a pet
    this.before = ""; // what the comparison shows on its left
    this.drawing = this.again = false;
  }

  /** @param {string} name */
  get(name) {
    return this.state[name];
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    this.put({ [name]: value });
    if (name === "photo") this.show();
    if (CUTOUT.includes(name)) this.draw();
    if (name === "opacity" || name === "classes") this.drawDetails(["overlay"]);
    if (name === "details") this.drawDetails(DETAILS);
  }

  /** Changes the state without drawing. @param {Object<string, any>} values */
  put(values) {
    Object.assign(this.state, values);
    for (const name of Object.keys(values)) this.changes.dispatchEvent(new Event(name));
  }

  /** @param {string} name @param {() => void} react @param {AbortSignal} signal */
  onChange(name, react, signal) {
    this.changes.addEventListener(name, react, { signal });
  }

  /** @param {(shown: Shown) => void} react */
  onPictures(react) {
    this.present = react;
    for (const [name, file] of this.samples) {
      file.then((blob) => react({ pictures: [picture(`sample ${name}`, "", blob)] })).catch(() => {}); // a click says it
    }
  }

  /** Does something while the page says so; problems become messages. @param {string} text @param {() => Promise<void>} work */
  working(text, work) {
    this.queue = this.queue.then(async () => {
      this.put({ busy: text });
      await work().catch((error) => this.complain(error.message));
      this.put({ busy: "" });
    });
    return this.queue;
  }

  /** @param {string} sentence */
  complain(sentence) {
    this.put({ messages: [...this.state.messages, sentence] });
  }

  /** @param {File[]} files @param {"photo" | "background"} purpose */
  take(files, purpose) {
    this.put({ messages: files.length ? [] : ["That was no file. Choose a photo from your computer or phone."] });
    if (purpose === "background" && files.length) this.useBackground(files[0]);
    if (purpose === "photo") files.forEach((file, index) => this.open(file, file.name || "pasted.png", !index));
  }

  /** @param {Blob} file @param {string} name @param {boolean} newBatch */
  open(file, name, newBatch = true) {
    const number = ++this.opened;
    this.working(`Cutting out ${name} …`, async () => {
      if (newBatch) this.settled = false;
      const { size: [W, H], seconds, note, thumbnail, ...about } = await this.ask("open", { file, name, number });
      const megapixels = ((W * H) / 1e6).toFixed(1);
      const found = `segmented by ${this.settings.model} in ${seconds.toFixed(2)} s`;
      const caption = `${name}: ${W} x ${H} pixels (${megapixels} megapixels), ${found}`;
      this.entries.set(number, { number, name, width: W, caption, ...about, edits: [] });
      if (note) this.complain(note);
      this.present({ pictures: [picture(`photo ${number}`, "", thumbnail)] });
      this.listPhotos();
      if (this.settled && this.current()) return;
      this.settled = about.found;
      this.set("photo", number);
    });
  }

  listPhotos() {
    this.put({ photos: [...this.entries.values()].map(({ number, name }) => [number, name]) });
  }

  /** @param {File} file */
  useBackground(file) {
    this.working(`Reading ${file.name} …`, async () => {
      await this.ask("useBackground", { file, name: file.name });
      this.put({ image_name: file.name });
      this.set("background", "image");
    });
  }

  /** @param {{type: string, [more: string]: any}} message */
  send(message) {
    const entry = this.current();
    if (message.type === "sample") {
      this.put({ messages: [] });
      this.samples.get(message.name)?.then(
        (file) => this.open(file, message.name),
        () => this.complain(`${message.name}: did not load. Load the page again.`),
      );
    }
    if (message.type === "close") this.close(message.number);
    if (message.type === "anyway" && entry) this.correct(entry, { sure: true });
    if (["stroke", "pet"].includes(message.type) && entry) this.correct(entry, { edits: [...entry.edits, message] });
    if (message.type === "undo" && entry) this.correct(entry, { edits: entry.edits.slice(0, -1) });
  }

  current() {
    return this.entries.get(this.state.photo);
  }

  /** @param {Entry} entry @param {{edits?: object[], sure?: boolean}} change */
  correct(entry, change) {
    if (change.edits) entry.edits = change.edits;
    this.working(`Correcting ${entry.name} …`, async () => {
      if (!this.entries.has(entry.number)) return; // it was closed while it waited
      Object.assign(entry, await this.ask("about", { number: entry.number, ...change }));
      this.show();
    });
  }

  /** @param {number} number */
  close(number) {
    const numbers = [...this.entries.keys()];
    const index = numbers.indexOf(number);
    this.entries.delete(number);
    this.ask("close", { number });
    this.listPhotos();
    this.put({ caption: "" });
    this.set("photo", numbers[index - 1] ?? numbers[index + 1] ?? 0);
  }

  /** Draws everything about the photo that is shown. */
  show() {
    const entry = this.current();
    if (!entry) return;
    const sentence = entry.doubtful ? this.settings.doubtful : this.settings.no_pet;
    const fractions = entry.fractions.map((fraction) => `${(100 * fraction).toFixed(1)}%`);
    this.before = "";
    this.put({
      caption: entry.caption,
      doubtful: entry.doubtful,
      notice: entry.found ? "" : sentence.replace("{photo}", () => entry.name),
      legend: this.settings.legend.replace(/nan%/g, () => fractions.shift()),
      edits: entry.edits.length,
      pets: entry.pets,
    });
    this.draw();
    this.drawDetails(DETAILS);
  }

  /** Shows the comparison anew; a change that comes meanwhile is drawn afterwards, however many they are. */
  async draw() {
    this.again = true;
    if (this.drawing) return;
    this.drawing = true;
    while (this.again) {
      this.again = false;
      const entry = this.current();
      await this.drawComparison().catch((error) => entry === this.current() && this.complain(error.message)); // not if closed
    }
    this.drawing = false;
  }

  async drawComparison() {
    const entry = this.current();
    if (!entry) return;
    const { sharp, correcting } = this.state;
    const options = this.options();
    if (correcting) Object.assign(options, { background: "transparent", crop: false, shadow: false, edge: [0, 0] });
    if (!entry.found) options.crop = false;
    const request = { number: entry.number, full: sharp, options };
    const after = await this.ask("picture", { ...request, kind: "after", type: "image/png" });
    /** @type {[string, string, Blob][]} */
    const pictures = [];
    const [left, top, right, bottom] = after.frame;
    const before = `${entry.number} ${sharp} ${after.frame}`;
    if (before !== this.before) {
      const { blob } = await this.ask("picture", { ...request, kind: "before", type: "image/jpeg" });
      pictures.push(["before", `The photo ${entry.name}`, blob]);
    }
    if (entry.found) pictures.push(["after", `The pet of ${entry.name}, cut out`, after.blob]);
    if (entry !== this.current()) return;
    this.before = before;
    const scale = entry.width / after.size[0]; // of the photo to the copy for the screen
    const size = /** @type {[number, number]} */ ([scale * (right - left), scale * (bottom - top)]);
    this.present({ pictures: pictures.map((shown) => picture(...shown)), size, line: entry.found ? after.line : 0.5 });
  }

  /** Pictures that are folded away, if they are unfolded. @param {string[]} kinds */
  async drawDetails(kinds) {
    const entry = this.current();
    if (!entry || !this.state.details) return;
    for (const kind of kinds) {
      const request = { number: entry.number, kind, full: false, options: this.options(), type: "image/png" };
      const { blob } = await this.ask("picture", request).catch(() => ({}));
      if (!blob || entry !== this.current()) return;
      this.present({ pictures: [picture(kind, ALTS[kind], blob)] });
    }
  }

  options() {
    const { background, image_name, color, crop, edge, shadow, opacity, classes, class_names } = this.state;
    return {
      background: background === "image" && !image_name ? "transparent" : background,
      color, crop, shadow, opacity,
      edge: this.settings.edges[edge],
      classes: classes.map((/** @type {string} */ name) => class_names.indexOf(name)),
    };
  }

  /** @param {string} kind @returns {Promise<File>} */
  async file(kind) {
    const entry = /** @type {Entry} */ (this.current());
    /** @type {File | undefined} */
    let file;
    this.put({ messages: [] });
    await this.working(`Preparing the download of ${kind === "all" ? "all photos" : entry.name} …`, async () => {
      file = await (kind === "all" ? this.archive() : this.fileOf(entry, kind));
    });
    if (file) return file;
    throw new DOMException("A message says why.", "AbortError");
  }

  /** @param {Entry} entry @param {string} kind */
  async fileOf(entry, kind) {
    const [cutout, options] = [kind === "cutout" || kind === "copy", this.options()];
    const format = /** @type {keyof typeof TYPES} */ (kind === "cutout" ? this.state.format : "png");
    const type = format === "jpg" && options.background === "transparent" ? "image/png" : TYPES[format];
    const request = { number: entry.number, kind: cutout ? "after" : kind, full: true, options, type };
    const { blob } = await this.ask("picture", request);
    const letters = [...(entry.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}_ .()-]/gu, "_") || "photo")];
    while (new Blob(letters).size > LONGEST) letters.pop();
    const ending = Object.entries(TYPES).find(([, known]) => known === blob.type)?.[0] ?? "png"; // Safari writes no WebP
    return new File([blob], `${letters.join("")}.${cutout ? "cutout" : kind}.${ending}`, { type: blob.type });
  }

  async archive() {
    const pets = [...this.entries.values()].filter(({ found }) => found);
    if (!pets.length) throw new Error("No pet found in any of the open photos, so there is nothing to download.");
    /** @type {File[]} */
    const files = [];
    for (const entry of pets) {
      await this.fileOf(entry, "cutout").then((file) => files.push(file), (error) => this.complain(error.message));
    }
    return files.length ? new File([await zip(files)], "petseg-cutouts.zip", { type: "application/zip" }) : undefined;
  }
}

/** A picture that takes the place of the last one with this key. @param {string} key @param {string} alt @param {Blob} blob @returns {Picture} */
function picture(key, alt, blob) {
  return { key, alt, address: URL.createObjectURL(blob) };
}

/** @param {string} name */
async function sample(name) {
  const answer = await fetch(`live/${encodeURIComponent(name)}.png`);
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.blob();
}
