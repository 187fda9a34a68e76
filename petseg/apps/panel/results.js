// The results: the comparison, the open photos, and the details, which are folded away.
const DETAILS = [
  ["overlay", "Overlay"],
  ["mask", "Class map"],
  ["confidence", "Confidence: light is sure"],
];

function results(panel) {
  const caption = make("p", { className: "petseg-small" });
  panel.watch(["caption"], () => (caption.textContent = panel.get("caption")));
  const main = make("div", { className: "petseg-main" }, make("div", {}, comparison(panel), caption), options(panel));
  const all = make("div", { className: "petseg-results" }, strip(panel), main, details(panel));
  panel.watch(["photos"], () => (all.hidden = !panel.get("photos").length));
  return all;
}

function comparison(panel) {
  const holder = make("div", {});
  holder.innerHTML = panel.get("comparison");
  const [box, after, before] = [holder.firstChild, ...holder.querySelectorAll("img")];
  panel.pictures.set("before", before).set("after", after);
  const slider = box.querySelector("input");
  panel.on("show", ({ pictures, size: [W, H], line }) => {
    box.style.setProperty("--petseg-ratio", W / H);
    if (!pictures.some(({ key }) => key === "before")) return; // the same photo: the line stays
    slider.value = 100 * line;
    slider.dispatchEvent(new Event("input"));
  });
  const notice = make("p", { className: "petseg-message", role: "status" });
  panel.watch(["notice"], () => {
    notice.textContent = panel.get("notice");
    notice.hidden = !notice.textContent;
    box.classList.toggle("petseg-alone", !notice.hidden); // the photo, without a cut-out
  });
  const anyway = button("Show it anyway", () => panel.send({ type: "anyway" }));
  panel.watch(["doubtful"], () => (anyway.hidden = !panel.get("doubtful")));
  return make("div", {}, notice, anyway, holder);
}

// Thumbnails of the open photos, if there are several.
function strip(panel) {
  const row = make("div", { className: "petseg-strip", role: "group", "aria-label": "Open photos" });
  const mark = () => {
    for (const choice of row.children) choice.setAttribute("aria-pressed", choice.dataset.number == panel.get("photo"));
  };
  panel.watch(["photos"], () => {
    const photos = panel.get("photos");
    row.hidden = photos.length < 2;
    row.replaceChildren(...photos.map(([number, name]) => thumbnail(panel, number, name)));
    mark();
  });
  panel.watch(["photo"], mark);
  return row;
}

function thumbnail(panel, number, name) {
  const image = panel.picture(`photo ${number}`);
  const choice = make("button", { type: "button", className: "petseg-thumbnail", title: name, "aria-label": name }, image);
  choice.dataset.number = number;
  choice.onclick = () => panel.set("photo", number);
  return choice;
}

function details(panel) {
  const summary = make("summary", {}, "Details: overlay, class map, confidence");
  const legend = make("div", {});
  panel.watch(["legend"], () => (legend.innerHTML = panel.get("legend")));
  const figures = make("div", { className: "petseg-figures" });
  for (const [key, title] of DETAILS) {
    const figure = make("figure", {}, panel.picture(key), make("figcaption", {}, title));
    const save = () => panel.send({ type: "save", view: panel.view, picture: key });
    if (key !== "confidence") figure.append(button(`Download ${title.toLowerCase()}`, save));
    if (key === "overlay") figure.append(overlayOptions(panel));
    figures.append(figure);
  }
  const fold = make("details", { className: "petseg-details" }, summary, legend, figures);
  fold.addEventListener("toggle", () => panel.set("details", fold.open));
  panel.watch(["details"], () => (fold.open = panel.get("details")));
  return fold;
}

function overlayOptions(panel) {
  const percent = (value) => `${Math.round(100 * value)} %`;
  const boxes = panel.get("class_names").map((name) => {
    const change = (checked) => {
      const rest = panel.get("classes").filter((shown) => shown !== name);
      panel.set("classes", checked ? [...rest, name] : rest);
    };
    const box = checkbox(name, true, change);
    panel.watch(["classes"], () => (box.firstChild.checked = panel.get("classes").includes(name)));
    return box;
  });
  const opacity = slider(panel, "opacity", "Opacity", [0, 1], 0.05, percent);
  return make("div", {}, opacity, make("div", { className: "petseg-row" }, ...boxes));
}
