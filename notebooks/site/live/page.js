// The page: the front, with a worker behind it.

import { PageEngine } from "./engine.js";
import { Front } from "./front/front.js";

const page = /** @type {HTMLElement} */ (document.querySelector(".petseg-live"));
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
/** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
const waiting = new Map();
let questions = 0;

/** Asks the worker. @param {string} question @param {object} request @returns {Promise<any>} */
function ask(question, request = {}) {
  const id = ++questions;
  worker.postMessage({ id, question, ...request });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

worker.addEventListener("message", ({ data: { id, answer, error, done, total } }) => {
  if (total) return pending && loading(done, total);
  const promise = waiting.get(id);
  waiting.delete(id);
  if (error) promise?.reject(new Error(error));
  else promise?.resolve(answer);
});
worker.addEventListener("error", () => /** @type {any} */ (window).petsegFailed()); // defined in page.html

const state = JSON.parse(/** @type {HTMLElement} */ (page.querySelector(".petseg-state")).textContent);
const engine = new PageEngine(state, ask);
engine.put({ busy: "Loading the model …" });
let pending = true; // one file may be refused while another still comes
const front = new Front(engine);
page.replaceChildren(front.root);

/** @param {number} done bytes @param {number} total */
function loading(done, total) {
  const [now, all] = [done, total].map((bytes) => (bytes / 1e6).toFixed(1));
  engine.put({ busy: `Loading the model: ${now} of ${all} MB …`, step: [done, total] });
}

engine.queue = ask("settings").finally(() => (pending = false)).then(
  (settings) => {
    engine.settings = settings;
    page.classList.add("petseg-ready");
    engine.put({ busy: "", step: [0, 1], caption: "The model is loaded. Choose a photo." });
  },
  (error) => {
    engine.put({ busy: "" });
    engine.complain(error.message);
  },
);

engine.onChange("photos", () => {
  const results = front.root.querySelector(".petseg-results");
  requestAnimationFrame(() => results?.scrollIntoView({ block: "nearest" }));
}, front.signal);

// Chromium takes a manifest from the head alone; without one, no phone offers to install the page. An iPhone takes the icon.
document.head.append(...document.querySelectorAll("link[rel=manifest], link[rel=apple-touch-icon]"));
if ("serviceWorker" in navigator && location.protocol === "https:") navigator.serviceWorker.register("offline.js").catch(() => {});
