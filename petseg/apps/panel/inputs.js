// The ways in for photos: drop, paste, choose, a path or an address, a sample.
const ICON =
  '<svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true" fill="none" stroke="currentColor" ' +
  'stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"><rect x="5" y="9" width="38" height="30" rx="5"/>' +
  '<circle cx="16" cy="19" r="3.5"/><path d="M6 34l11-9 8 6 8-9 10 9"/></svg>';

function inputs(panel) {
  return make("div", { className: "petseg-inputs" }, zone(panel), furtherInputs(panel));
}

function zone(panel) {
  const upload = (files) => send(panel, "photo", files);
  const choose = fileButton("Choose photos", true, upload, "petseg-primary");
  const words = make("p", {}, make("strong", {}, "Drop photos of your pet here"), make("span", {}, "or paste one, or"));
  const area = make("div", { className: "petseg-zone" }, words, choose);
  area.insertAdjacentHTML("afterbegin", ICON);
  area.onclick = (event) => event.target.closest("label") || choose.click();
  for (const name of ["dragenter", "dragover"]) {
    area.addEventListener(name, (event) => {
      event.preventDefault();
      event.stopPropagation();
      area.classList.add("petseg-over");
    });
  }
  area.addEventListener("dragleave", (event) => {
    if (!area.contains(event.relatedTarget)) area.classList.remove("petseg-over");
  });
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would upload the file to its folder
    area.classList.remove("petseg-over");
    upload([...event.dataTransfer.files]);
  });
  // a paste goes to the focused element, which may be the page: then it is for the panel if the pointer is over it
  const paste = (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !(panel.root.contains(document.activeElement) || panel.root.matches(":hover"))) return;
    event.preventDefault();
    event.stopPropagation();
    upload(files);
  };
  document.addEventListener("paste", paste, { capture: true, signal: panel.signal });
  return area;
}

function furtherInputs(panel) {
  const path = make("input", { type: "text", placeholder: "Path or address of a photo", "aria-label": "Path or address" });
  const open = make("form", { className: "petseg-row" }, path, make("button", { className: "petseg-button" }, "Open"));
  open.onsubmit = (event) => {
    event.preventDefault();
    if (path.value.trim()) panel.send({ type: "open", text: path.value });
    path.value = "";
  };
  const model = field("Model", select(panel, "model", panel.get("models")));
  return make("div", { className: "petseg-others" }, samples(panel), open, model);
}

function samples(panel) {
  const pictures = panel.get("samples").map(() => make("img", { alt: "" }));
  panel.on("samples", ({ addresses }) => addresses.forEach((address, index) => (pictures[index].src = address)));
  const choose = (name) => panel.send({ type: "sample", name });
  const buttons = panel.get("samples").map((name, index) => {
    const thumbnail = make("button", { type: "button", className: "petseg-thumbnail", title: name, "aria-label": name });
    thumbnail.onclick = () => choose(name);
    thumbnail.append(pictures[index]);
    return thumbnail;
  });
  const group = make("div", { className: "petseg-samples", role: "group", "aria-label": "Sample photos" }, "Or try:");
  group.append(...buttons);
  const breeds = panel.get("breeds");
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
