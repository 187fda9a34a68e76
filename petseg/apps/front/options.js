// The options of the cut-out, and the ways out for it.

import { button, chips, fileButton, make, select, toggle } from "./elements.js";

/** @typedef {import("./front.js").Front} Front */

/** Colours to choose with one click. */
const SWATCHES = [
  ["Green", "#2e7d6b"],
  ["Yellow", "#f2c14e"],
  ["Red", "#c8553d"],
  ["Sky blue", "#8fb8de"],
  ["Sand", "#e6d5b8"],
  ["Black", "#1c1c1c"],
];

/** @param {Front} front */
export function options(front) {
  const parts = make("div", { className: "petseg-options" });
  parts.append(
    backgrounds(front),
    chips(front, "edge", "Edge", front.get("edges")),
    pets(front),
    make("div", { className: "petseg-row" }, toggle(front, "crop", "Crop to the pet"), toggle(front, "shadow", "Soft shadow")),
    format(front),
  );
  const column = make("div", { className: "petseg-options" }, downloads(front), parts);
  front.watch(["notice"], () => (parts.hidden = Boolean(front.get("notice"))));
  return column;
}

/** @param {Front} front */
function downloads(front) {
  const file = make("a", { className: "petseg-file" });
  const download = button("Download", () => save(front, "cutout", file), "petseg-primary");
  const copy = button("Copy", () => {
    const png = front.engine.file("copy");
    const written = navigator.clipboard.write([new ClipboardItem({ "image/png": png })]); // at once, as Safari asks
    front.tell(Promise.all([png, written]), "Copied: paste it elsewhere.");
  });
  const share = button("Share", () => front.tell(front.engine.file("cutout").then((file) => navigator.share({ files: [file] }))));
  const all = button("Download all (ZIP)", () => save(front, "all", file));
  const [mayCopy, mayShare] = [Boolean(navigator.clipboard) && "ClipboardItem" in window, canShare()];
  front.watch(["photos", "notice"], () => {
    const none = Boolean(front.get("notice"));
    [download.hidden, copy.hidden, share.hidden] = [none, none || !mayCopy, none || !mayShare];
    all.hidden = front.get("photos").length < 2;
  });
  return make("div", { className: "petseg-row petseg-downloads" }, download, copy, share, all, file);
}

/** Whether this browser passes files on to other programs, as those of phones do. */
function canShare() {
  return Boolean(navigator.canShare?.({ files: [new File([], "pet.png", { type: "image/png" })] }));
}

/** The browser saves a file at once; if the page is not allowed to do that, the link can still be clicked. @param {Front} front @param {string} picture @param {HTMLAnchorElement} link */
export function save(front, picture, link) {
  front.tell(front.engine.file(picture).then((file) => {
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(file);
    link.download = link.textContent = file.name;
    link.click();
  }));
}

/** @param {Front} front */
function backgrounds(front) {
  const group = chips(front, "background", "Background", front.get("backgrounds"));
  const color = make("input", { type: "color", "aria-label": "Colour of the background" });
  color.oninput = () => front.set("color", color.value);
  front.watch(["color"], () => (color.value = front.get("color")));
  const swatches = SWATCHES.map(([name, value]) => {
    const swatch = button("", () => front.set("color", value), "petseg-swatch");
    swatch.title = swatch.ariaLabel = name;
    swatch.style.background = value;
    front.watch(["color"], () => (swatch.ariaPressed = String(front.get("color") === value)));
    return swatch;
  });
  const colors = make("div", { className: "petseg-row" }, ...swatches, color);
  const choose = fileButton("Choose a picture", (files) => front.take(files, "background"));
  const name = make("span", { className: "petseg-small" });
  const picture = make("div", { className: "petseg-row" }, choose, name);
  front.watch(["background", "image_name"], () => {
    colors.hidden = front.get("background") !== "color";
    picture.hidden = front.get("background") !== "image";
    name.textContent = front.get("image_name");
  });
  group.append(colors, picture);
  return group;
}

/** Which of several pets are cut out. @param {Front} front */
function pets(front) {
  const group = make("fieldset", { className: "petseg-chips" });
  group.append(make("legend", {}, "Pets, from left to right"));
  const boxes = group.getElementsByTagName("input");
  front.watch(["pets"], () => {
    const chosen = front.get("pets");
    group.hidden = chosen.length < 2;
    while (boxes.length > chosen.length) group.lastElementChild?.remove();
    while (boxes.length < chosen.length) { // the others stay, since one may have the focus
      const index = boxes.length;
      const box = make("input", { type: "checkbox", className: "petseg-unseen" });
      box.onchange = () => front.engine.send({ type: "pet", index, shown: box.checked });
      group.append(make("label", { className: "petseg-chip" }, box, make("span", {}, `${index + 1}`)));
    }
    [...boxes].forEach((box, index) => (box.checked = chosen[index]));
  });
  return group;
}

/** A JPEG cannot be transparent: it is offered if there is a background. @param {Front} front */
function format(front) {
  const field = select(front, "format", "File format", [["PNG", "png"], ["WebP", "webp"], ["JPEG", "jpg"]]);
  const jpeg = /** @type {HTMLOptionElement} */ (field.querySelector("[value=jpg]"));
  front.watch(["background", "image_name", "format"], () => {
    const background = front.get("background");
    jpeg.disabled = background === "transparent" || (background === "image" && !front.get("image_name"));
    jpeg.textContent = jpeg.disabled ? "JPEG (with a background)" : "JPEG";
    if (jpeg.disabled && front.get("format") === "jpg") front.set("format", "png");
  });
  return field;
}
