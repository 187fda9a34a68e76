// The options of the cut-out, and its downloads.
const BACKGROUNDS = [
  ["Transparent", "transparent"],
  ["White", "white"],
  ["Colour", "color"],
  ["Blurred", "blur"],
  ["Image", "image"],
];

function options(panel) {
  const ask = (picture) => panel.send({ type: "save", view: panel.view, picture });
  const all = button("Download all (ZIP)", () => ask("all"));
  panel.watch(["photos"], () => (all.hidden = panel.get("photos").length < 2));
  const file = make("a", { className: "petseg-file" });
  panel.on("save", ({ name, view }, [bytes]) => view === panel.view && save(file, name, bytes));
  const sign = (value) => `${value > 0 ? "+" : ""}${value} ‰`;
  const unit = make("p", { className: "petseg-small" }, "‰ of the photo's longest side");
  const column = make("div", { className: "petseg-options" });
  column.append(
    button("Download cut-out", () => ask("cutout"), "petseg-primary"),
    all,
    file,
    backgrounds(panel),
    crop(panel),
    field("File format", format(panel)),
    slider(panel, "grow", "Edge: shrink or grow", panel.get("grow_limits"), 0.5, sign),
    slider(panel, "feather", "Edge: soften", panel.get("feather_limits"), 0.5, (value) => `${value} ‰`),
    unit,
  );
  panel.watch(["notice"], () => {
    for (const part of column.children) if (part !== all && part !== file) part.hidden = Boolean(panel.get("notice"));
  });
  return column;
}

function backgrounds(panel) {
  const name = `petseg-background-${panel.view}`; // each view has its own group
  const group = make("fieldset", { className: "petseg-backgrounds" }, make("legend", {}, "Background"));
  for (const [text, value] of BACKGROUNDS) {
    const choice = make("input", { type: "radio", name, value, className: "petseg-unseen" });
    choice.onchange = () => panel.set("background", value);
    group.append(make("label", { className: `petseg-choice petseg-choice-${value}` }, choice, make("span", {}, text)));
    panel.watch(["background"], () => (choice.checked = panel.get("background") === value));
  }
  const color = make("input", { type: "color", "aria-label": "Colour of the background" });
  color.oninput = () => panel.set("color", color.value);
  panel.watch(["color"], () => (color.value = panel.get("color")));
  const image = fileButton("Choose an image", false, (files) => send(panel, "background", files));
  const imageName = make("span", { className: "petseg-small" });
  group.append(make("div", { className: "petseg-row petseg-more" }, color, image, imageName));
  panel.watch(["background", "image_name"], () => {
    color.hidden = panel.get("background") !== "color";
    image.hidden = imageName.hidden = panel.get("background") !== "image";
    imageName.textContent = panel.get("image_name");
  });
  return group;
}

function crop(panel) {
  const box = checkbox("Crop to the pet", panel.get("crop"), (checked) => panel.set("crop", checked));
  panel.watch(["crop"], () => (box.firstChild.checked = panel.get("crop")));
  return box;
}

// A JPEG cannot be transparent: it is offered if there is a background.
function format(panel) {
  const control = select(panel, "format", [["PNG", "png"], ["WebP", "webp"], ["JPEG", "jpg"]]);
  const jpeg = control.lastChild;
  panel.watch(["background", "image_name", "format"], () => {
    const background = panel.get("background");
    jpeg.disabled = background === "transparent" || (background === "image" && !panel.get("image_name"));
    jpeg.textContent = jpeg.disabled ? "JPEG (with a background)" : "JPEG";
    if (jpeg.disabled && panel.get("format") === "jpg") panel.set("format", "png");
  });
  return control;
}
