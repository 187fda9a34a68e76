// The comparison of photo and cut-out: its line, zoom, and the brush that corrects the cut-out.

import { brush } from "./brush.js";
import { button, chips, make, slider } from "./elements.js";

/** @typedef {import("./front.js").Front} Front */

const [STEP, MOST] = [1.5, 8]; // of the zoom

/** @param {Front} front */
export function viewer(front) {
  const frame = make("div", { className: "petseg-viewer", role: "group", "aria-label": "Photo and cut-out" });
  frame.innerHTML = front.get("comparison");
  const box = /** @type {HTMLElement} */ (frame.firstElementChild);
  const [after, before] = box.querySelectorAll("img");
  front.picture("before", before);
  front.picture("after", after);
  const line = /** @type {HTMLInputElement} */ (box.querySelector(".petseg-slider"));
  let width = 3; // of the shown part of the photo, in its own pixels
  front.viewers.push(({ pictures, size, line: start = 0.5 }) => {
    if (!size) return;
    const [W, H] = size;
    width = W;
    box.style.setProperty("--petseg-ratio", String(W / H));
    if (front.get("sharp") || !pictures.some(({ key }) => key === "before")) return; // the same photo: the line stays
    line.value = String(100 * start);
    line.dispatchEvent(new Event("input"));
  });
  box.append(brush(front));
  front.watch(["notice"], () => box.classList.toggle("petseg-alone", Boolean(front.get("notice"))));
  front.watch(["correcting"], () => box.classList.toggle("petseg-correcting", front.get("correcting")));
  front.watch(["photo"], () => front.set("zoom", 1));
  front.watch(["zoom"], () => {
    const zoom = front.get("zoom");
    frame.classList.toggle("petseg-zoomed", zoom > 1);
    frame.tabIndex = zoom > 1 ? 0 : -1; // then its arrow keys scroll
    box.style.setProperty("--petseg-zoom", zoom);
    front.set("sharp", zoom > 1);
  });
  const actual = () => (width * front.get("zoom")) / box.clientWidth; // one pixel of the photo is one of the page
  return make("div", {}, frame, tools(front, actual), corrections(front));
}

/** @param {Front} front @param {() => number} actual the zoom at which nothing is enlarged or shrunk */
function tools(front, actual) {
  const zoom = (/** @type {number} */ value) => front.set("zoom", Math.min(MOST, Math.max(1, value)));
  const less = button("−", () => zoom(front.get("zoom") / STEP));
  const more = button("+", () => zoom(front.get("zoom") * STEP));
  const whole = button("1:1", () => zoom(actual()));
  [less.ariaLabel, more.ariaLabel, whole.ariaLabel] = ["Zoom out", "Zoom in", "Zoom to the photo's own pixels"];
  const correct = button("Correct", () => front.set("correcting", !front.get("correcting")));
  const close = button("Close", () => front.engine.send({ type: "close", number: front.get("photo") }));
  close.addEventListener("click", (event) => event.detail > 1 && event.stopImmediatePropagation(), { capture: true }); // not the next photo too
  [correct.title, close.title] = ["Correct the cut-out with a brush", "Close this photo"];
  front.watch(["correcting"], () => (correct.ariaPressed = String(front.get("correcting"))));
  front.watch(["zoom"], () => (less.disabled = front.get("zoom") === 1));
  return make("div", { className: "petseg-row petseg-tools" }, less, more, whole, correct, close);
}

/** @param {Front} front */
function corrections(front) {
  const undo = button("Undo", () => front.engine.send({ type: "undo" }));
  front.watch(["edits"], () => (undo.disabled = !front.get("edits")));
  const tool = chips(front, "tool", "Paint over what to", [["Keep", "keep"], ["Remove", "remove"]]);
  const done = button("Done", () => front.set("correcting", false));
  const row = make("div", { className: "petseg-row" }, tool, slider(front, "brush", "Brush size", 0.05), undo, done);
  front.watch(["correcting"], () => (row.hidden = !front.get("correcting")));
  return row;
}
