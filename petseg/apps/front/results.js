// The results: the open photos, the comparison with its options, and the details, which are folded away.

import { button, checkbox, make, slider } from "./elements.js";
import { options, save } from "./options.js";
import { viewer } from "./viewer.js";

/** @typedef {import("./front.js").Front} Front */

const DETAILS = [
  ["overlay", "Overlay"],
  ["mask", "Class map"],
  ["confidence", "Confidence: light is sure"],
];

/** @param {Front} front */
export function results(front) {
  const notice = make("p", { className: "petseg-message", role: "status" });
  const anyway = button("Show it anyway", () => front.engine.send({ type: "anyway" }));
  front.watch(["notice", "doubtful"], () => {
    notice.textContent = front.get("notice");
    notice.hidden = !notice.textContent;
    anyway.hidden = !front.get("doubtful");
  });
  const main = make("div", { className: "petseg-main" }, make("div", {}, notice, anyway, viewer(front)), options(front));
  const all = make("div", { className: "petseg-results" }, strip(front), main, details(front));
  front.watch(["photos"], () => {
    all.hidden = !front.get("photos").length;
    front.root.classList.toggle("petseg-open", !all.hidden);
  });
  return all;
}

/** Thumbnails of the open photos, if there are several. @param {Front} front */
function strip(front) {
  const row = make("div", { className: "petseg-strip", role: "group", "aria-label": "Open photos" });
  /** @type {Map<number, HTMLButtonElement>} */
  const thumbnails = new Map(); // they stay, since one may have the focus
  front.watch(["photos", "photo"], () => {
    /** @type {Map<number, string>} */
    const photos = new Map(front.get("photos"));
    row.hidden = photos.size < 2;
    for (const [number, name] of photos) {
      if (thumbnails.has(number)) continue;
      const thumbnail = button("", () => front.set("photo", number), "petseg-thumbnail");
      thumbnail.title = thumbnail.ariaLabel = name;
      thumbnail.append(front.picture(`photo ${number}`));
      thumbnails.set(number, thumbnail);
      row.append(thumbnail);
    }
    for (const [number, thumbnail] of thumbnails) {
      thumbnail.ariaPressed = String(number === front.get("photo"));
      if (photos.has(number)) continue;
      thumbnail.remove();
      thumbnails.delete(number);
    }
  });
  return row;
}

/** @param {Front} front */
function details(front) {
  const summary = make("summary", {}, "Details: overlay, class map, confidence");
  const legend = make("div", {});
  front.watch(["legend"], () => (legend.innerHTML = front.get("legend")));
  const figures = make("div", { className: "petseg-figures" });
  for (const [key, title] of DETAILS) {
    const figure = make("figure", {}, front.picture(key), make("figcaption", {}, title));
    const link = make("a", { className: "petseg-file" });
    const download = button(`Download ${title.toLowerCase()}`, () => save(front, key, link));
    if (key !== "confidence") figure.append(download, link);
    if (key === "overlay") figure.append(overlayOptions(front));
    figures.append(figure);
  }
  const fold = make("details", { className: "petseg-details" }, summary, legend, figures);
  fold.addEventListener("toggle", () => front.set("details", fold.open));
  front.watch(["details"], () => (fold.open = front.get("details")));
  return fold;
}

/** @param {Front} front */
function overlayOptions(front) {
  const boxes = front.get("class_names").map((/** @type {string} */ name) => {
    const { control, label } = checkbox(name, (checked) => {
      const others = front.get("classes").filter((/** @type {string} */ shown) => shown !== name);
      front.set("classes", checked ? [...others, name] : others);
    });
    front.watch(["classes"], () => (control.checked = front.get("classes").includes(name)));
    return label;
  });
  return make("div", {}, slider(front, "opacity", "Opacity"), make("div", { className: "petseg-row" }, ...boxes));
}
