// The ways in for photos: drop, paste, choose, take one, a path or an address, a sample.

import { button, fileButton, make, select } from "./elements.js";

/** @typedef {import("./front.js").Front} Front */

const ICON =
  '<svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true" fill="none" stroke="currentColor" ' +
  'stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"><rect x="5" y="9" width="38" height="30" rx="5"/>' +
  '<circle cx="16" cy="19" r="3.5"/><path d="M6 34l11-9 8 6 8-9 10 9"/></svg>';

/** @param {Front} front */
export function inputs(front) {
  return make("div", { className: "petseg-inputs" }, zone(front), furtherInputs(front));
}

/** @param {Front} front */
function zone(front) {
  const take = (/** @type {File[]} */ files) => front.take(files, "photo");
  const choose = fileButton("Choose photos", take, { multiple: true }, "petseg-primary");
  const camera = fileButton("Take a photo", take, { capture: "environment", accept: "image/*" }, "petseg-camera");
  const paste = make("span", { className: "petseg-paste" }, "or paste one");
  const drop = make("strong", { className: "petseg-paste" }, "Drop photos of your pet here");
  const words = make("p", {}, drop, make("strong", { className: "petseg-camera" }, "Photos of your pet"), paste);
  const area = make("div", { className: "petseg-zone" }, words, choose, camera);
  area.insertAdjacentHTML("afterbegin", ICON);
  area.onclick = (event) => /** @type {Element} */ (event.target).closest("label") || choose.click();
  const { signal } = front;
  const target = front.engine.wholePage ? document : area;
  const over = (/** @type {DragEvent} */ event) => {
    if (forField(event)) return area.classList.remove("petseg-over");
    event.preventDefault(); // else the browser leaves the page and shows the file
    event.stopPropagation(); // else JupyterLab uploads the file to its folder
    area.classList.toggle("petseg-over", event.type !== "drop");
  };
  const on = (/** @type {string} */ name, /** @type {(event: DragEvent) => void} */ react) =>
    target.addEventListener(name, /** @type {EventListener} */ (react), { signal });
  for (const name of ["dragenter", "dragover", "drop"]) on(name, over);
  on("dragleave", (event) => {
    if (!target.contains(/** @type {Node | null} */ (event.relatedTarget))) area.classList.remove("petseg-over");
  });
  on("drop", (event) => forField(event) || take([...(event.dataTransfer?.files ?? [])]));
  document.addEventListener("paste", (event) => pasted(front, event, take), { capture: true, signal });
  return area;
}

/** Whether what is dragged is text over a field for text, as the search of the site. @param {DragEvent} event */
function forField(event) {
  const field = /** @type {Element} */ (event.target).closest?.("input, textarea");
  return Boolean(field && !event.dataTransfer?.types.includes("Files"));
}

/** A paste goes to the focused element, which may be the page: then it is for the panel if the pointer is over it. @param {Front} front @param {ClipboardEvent} event @param {(files: File[]) => void} take */
function pasted(front, event, take) {
  const files = [...(event.clipboardData?.files ?? [])];
  const meant = front.engine.wholePage || front.root.contains(document.activeElement) || front.root.matches(":hover");
  if (!files.length || !meant) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // a second panel would take it too
  take(files);
}

/** @param {Front} front */
function furtherInputs(front) {
  const parts = make("div", { className: "petseg-others" }, samples(front));
  if (front.get("paths")) parts.append(pathField(front));
  const models = front.get("models");
  if (models.length > 1) parts.append(select(front, "model", "Model", models));
  return parts;
}

/** @param {Front} front */
function pathField(front) {
  const path = make("input", { type: "text", placeholder: "Path or address of a photo", "aria-label": "Path or address" });
  const open = make("form", { className: "petseg-row" }, path, make("button", { className: "petseg-button" }, "Open"));
  open.onsubmit = (event) => {
    event.preventDefault();
    if (path.value.trim()) front.engine.send({ type: "open", text: path.value });
    path.value = "";
  };
  return open;
}

/** @param {Front} front */
function samples(front) {
  const choose = (/** @type {string} */ name) => front.engine.send({ type: "sample", name });
  const group = make("div", { className: "petseg-samples", role: "group", "aria-label": "Sample photos" });
  group.append(make("span", {}, "Or try:"));
  for (const name of front.get("samples")) {
    const thumbnail = button("", () => choose(name), "petseg-thumbnail");
    thumbnail.title = thumbnail.ariaLabel = name;
    thumbnail.append(front.picture(`sample ${name}`));
    group.append(thumbnail);
  }
  const breeds = front.get("breeds");
  if (breeds.length) {
    const names = ["a breed of the data set", ...breeds].map((name) => make("option", {}, name));
    const choice = make("select", { "aria-label": "Breed" }, ...names);
    choice.onchange = () => {
      if (choice.selectedIndex) choose(choice.value);
      choice.selectedIndex = 0; // so that the same breed can be chosen again
    };
    group.append(choice);
  }
  return group;
}
