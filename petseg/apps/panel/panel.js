// The panel of a notebook: the front, with the kernel behind it.

import { Front } from "../front/front.js";

/** @typedef {import("../front/front.js").Engine} Engine */
/** @typedef {import("../front/front.js").Picture} Picture */

const PART = 1 << 18; // bytes: notebook servers drop messages above 10 MB silently, Colab perhaps those above 1 MB

/** What the user chose. While the kernel works, a message overtakes what was chosen before it, so these say it again. */
const CHOSEN = ["model", "photo", "background", "color", "crop", "format", "edge", "shadow", "correcting", "opacity", "classes"];
const OF_THE_SHOWN = ["anyway", "stroke", "pet", "undo", "save"];

/**
 * An engine of a widget's model, as anywidget gives it. Each message names its view: two browser windows that show one
 * panel may upload at once, and only the one that asked for a file saves it.
 * @param {any} model
 * @returns {Engine}
 */
function engineOf(model) {
  const view = Math.random().toString(36).slice(2);
  const send = (/** @type {{type: string, [more: string]: any}} */ content, /** @type {ArrayBuffer[]} */ buffers = []) => {
    const chosen = OF_THE_SHOWN.includes(content.type) ? CHOSEN.map((name) => [name, model.get(name)]) : [];
    model.send({ view, chosen, ...content }, undefined, buffers);
  };
  const on = (/** @type {string} */ event, /** @type {Function} */ react, /** @type {AbortSignal} */ signal) => {
    model.on(event, react);
    signal.addEventListener("abort", () => model.off(event, react));
  };
  return {
    wholePage: false,
    get: (name) => model.get(name),
    set(name, value) {
      model.set(name, value);
      model.save_changes();
    },
    onChange: (name, react, signal) => on(`change:${name}`, react, signal),
    onPictures(react, signal) {
      const receive = (/** @type {any} */ content, /** @type {ArrayBuffer[]} */ buffers = []) => {
        if (content.type !== "show") return;
        const pictures = content.pictures.map((/** @type {any} */ { key, alt, kind, address }, /** @type {number} */ index) =>
          ({ key, alt, address: address ?? URL.createObjectURL(new Blob([buffers[index]], { type: kind })) }));
        react({ ...content, pictures });
      };
      on("msg:custom", receive, signal);
      send({ type: "ready" }); // the kernel answers with everything to show
    },
    send,
    take: (files, purpose) => void upload(files, purpose, model.get("max_bytes"), send),
    file(picture) {
      return new Promise((resolve, reject) => {
        const receive = (/** @type {any} */ content, /** @type {ArrayBuffer[]} */ [bytes]) => {
          if (content.type !== "save" || content.view !== view || content.picture !== picture) return;
          model.off("msg:custom", receive);
          if (content.name) resolve(new File([bytes], content.name, { type: content.kind }));
          else reject(new DOMException("A message says why.", "AbortError"));
        };
        model.on("msg:custom", receive);
        send({ type: "save", picture });
      });
    },
  };
}

/** @param {File[]} files @param {string} purpose @param {number} most bytes @param {(content: {type: string, [more: string]: any}, buffers?: ArrayBuffer[]) => void} send */
async function upload(files, purpose, most, send) {
  for (const [index, file] of files.entries()) {
    const about = { purpose, name: file.name || "pasted.png", index: index + 1, of: files.length };
    if (file.size > most) {
      send({ type: "too large", size: file.size, ...about });
      continue;
    }
    const bytes = await file.arrayBuffer().catch(() => null);
    if (!bytes) {
      send({ type: "unreadable", ...about });
      continue;
    }
    const parts = Math.max(1, Math.ceil(bytes.byteLength / PART));
    for (let part = 0; part < parts; part++) {
      send({ type: "part", part, parts, ...about }, [bytes.slice(part * PART, (part + 1) * PART)]);
    }
  }
}

// Keys that are pressed in the panel belong to its controls. JupyterLab would take arrows, letters and Enter: some on
// their way down to the control, which an attribute prevents, and some on their way up.
/** @param {HTMLElement} root @param {AbortSignal} signal */
function keepKeys(root, signal) {
  const own = (/** @type {KeyboardEvent} */ event) => !(event.ctrlKey || event.metaKey || event.altKey);
  const decide = (/** @type {KeyboardEvent} */ event) => {
    if (root.contains(/** @type {Node} */ (event.target))) root.toggleAttribute("data-lm-suppress-shortcuts", own(event));
  };
  window.addEventListener("keydown", decide, { capture: true, signal });
  root.addEventListener("keydown", (event) => own(event) && event.stopPropagation());
}

/** @param {{model: any, el: HTMLElement}} place */
function render({ model, el }) {
  const front = new Front(engineOf(model));
  keepKeys(front.root, front.signal);
  el.append(front.root);
  return () => front.ending.abort();
}

export default { render };
