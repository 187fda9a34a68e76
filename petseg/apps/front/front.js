// The front of petseg in a notebook and on a page: what a person sees and does. The work is done by an engine.

import { make } from "./elements.js";
import { inputs } from "./inputs.js";
import { results } from "./results.js";

/**
 * A picture to show in place of the last one with the same key; `alt` describes it.
 * @typedef {{key: string, alt: string, address: string}} Picture
 */

/**
 * New pictures; where they are those of the comparison, the size of what it shows, in pixels of the photo, and where its
 * line starts, 0 to 1.
 * @typedef {{pictures: Picture[], size?: [number, number], line?: number}} Shown
 */

/**
 * What works behind the front: the kernel of a notebook, or a worker of the page. The names of its state are the traits
 * of petseg/apps/panel/widget.py. `send` says what the user did: `{type: "sample", name}`, and "open", "close", "anyway",
 * "stroke", "undo", "pet". `file` gives cutout, copy (a PNG), all, overlay or mask at the photo's own size, or fails with
 * an AbortError after a message that says why.
 * @typedef {object} Engine
 * @property {boolean} wholePage whether the front owns the page: drops and pastes anywhere are for it
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set
 * @property {(name: string, react: () => void, signal: AbortSignal) => void} onChange
 * @property {(react: (shown: Shown) => void, signal: AbortSignal) => void} onPictures
 * @property {(files: File[], purpose: "photo" | "background") => void} take
 * @property {(message: {type: string, [more: string]: any}) => void} send
 * @property {(picture: string) => Promise<File>} file
 */

export class Front {
  /** @param {Engine} engine */
  constructor(engine) {
    this.engine = engine;
    this.view = Math.random().toString(36).slice(2);
    this.ending = new AbortController();
    this.signal = this.ending.signal;
    /** The state that concerns this view alone. @type {Object<string, any>} */
    this.own = { tool: "keep", brush: 0.3, zoom: 1 };
    /** @type {[string[], () => void][]} */
    this.reactions = [];
    /** @type {Map<string, HTMLImageElement>} */
    this.images = new Map();
    /** @type {((shown: Shown) => void)[]} */
    this.viewers = [];
    this.say = (/** @type {string} */ _) => {};
    this.root = make("div", { className: "petseg-front", role: "group", "aria-label": "Cut pets out of photos" });
    this.root.append(inputs(this), status(this), results(this));
    engine.onPictures((shown) => this.show(shown), this.signal);
  }

  /** @param {string} name */
  get(name) {
    return name in this.own ? this.own[name] : this.engine.get(name);
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    if (value === this.get(name)) return;
    if (!(name in this.own)) return this.engine.set(name, value);
    this.own[name] = value;
    for (const [names, react] of this.reactions) if (names.includes(name)) react();
  }

  /**
   * Calls a function now and whenever one of these values changes. If it hides or disables what has the focus, the
   * focus goes to what is around: without one, the next key would be for the notebook.
   * @param {string[]} names
   * @param {() => void} react
   */
  watch(names, react) {
    const change = () => {
      const focused = this.root.querySelector(":focus");
      react();
      if (!focused?.matches(":disabled, [hidden], [hidden] *")) return;
      const around = (focused.closest("[hidden]") ?? focused).parentElement ?? this.root;
      around.tabIndex = -1; // can have the focus, but Tab passes it
      around.focus();
    };
    this.reactions.push([names, change]);
    for (const name of names) if (!(name in this.own)) this.engine.onChange(name, change, this.signal);
    react();
  }

  /** An image element for a key; it takes over the picture of the previous one. @param {string} key */
  picture(key, image = make("img", { alt: "" })) {
    const last = this.images.get(key);
    if (last) image.src = last.src; // an empty address would be a broken picture
    image.dataset.key = key;
    this.images.set(key, image);
    return image;
  }

  /** @param {File[]} files @param {"photo" | "background"} purpose */
  take(files, purpose) {
    if (files.length) this.say(`Opening ${files[0].name} …`);
    this.engine.take(files, purpose);
  }

  /** @param {Shown} shown */
  show(shown) {
    for (const { key, alt, address } of shown.pictures) {
      const image = this.images.get(key) ?? this.picture(key);
      if (image.src !== address) URL.revokeObjectURL(image.src);
      image.src = address;
      image.alt = alt;
    }
    for (const react of this.viewers) react(shown);
  }

  /** Says that the browser did something, or why it did not. @param {Promise<any>} done @param {string} words */
  async tell(done, words = "") {
    await done.then(
      () => words && this.say(words),
      (error) => error.name !== "AbortError" && this.say(`The browser did not allow this (${error.message}). Use Download.`),
    );
  }
}

/** The current work, then what is shown; and the messages. @param {Front} front */
function status(front) {
  const words = make("p", { className: "petseg-status", role: "status" });
  const progress = make("progress", { className: "petseg-progress", "aria-label": "Progress" });
  const messages = make("div", {});
  front.say = (text) => (words.textContent = text);
  front.watch(["busy", "caption"], () => {
    const busy = front.get("busy");
    front.say(busy || front.get("caption"));
    front.root.classList.toggle("petseg-busy", Boolean(busy));
    front.root.ariaBusy = String(Boolean(busy));
  });
  front.watch(["busy", "step"], () => {
    const [done, all] = front.get("step");
    progress.hidden = !front.get("busy") || all < 2;
    [progress.max, progress.value] = [all, done];
  });
  front.watch(["messages"], () => {
    const texts = /** @type {string[]} */ (front.get("messages"));
    const shown = [...messages.children];
    if (shown.some((line, index) => line.textContent !== texts[index])) messages.replaceChildren();
    const added = texts.slice(messages.childElementCount); // read out; those before are not again
    messages.append(...added.map((text) => make("p", { className: "petseg-message", role: "alert" }, text)));
  });
  return make("div", { className: "petseg-news" }, words, progress, messages);
}
