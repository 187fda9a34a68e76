// Where photos are dropped or chosen. Files travel in parts, since a notebook server refuses large messages silently.
const PART = 1 << 20; // bytes

// Each message names its view, since views of one panel, in two browser windows for instance, may upload at once.
async function send(model, view, files) {
  for (const [index, file] of files.entries()) {
    const about = { view, name: file.name, index: index + 1, of: files.length };
    if (file.size > model.get("max_bytes")) {
      model.send({ type: "too large", size: file.size, ...about });
      continue;
    }
    let bytes;
    try {
      bytes = await file.arrayBuffer();
    } catch {
      model.send({ type: "unreadable", ...about });
      continue;
    }
    const parts = Math.max(1, Math.ceil(bytes.byteLength / PART));
    for (let part = 0; part < parts; part++) {
      const buffer = bytes.slice(part * PART, (part + 1) * PART);
      model.send({ type: "part", part, parts, ...about }, undefined, [buffer]);
    }
  }
}

function render({ model, el }) {
  const view = Math.random().toString(36).slice(2);
  const zone = document.createElement("label");
  zone.className = "petseg-dropzone";
  const words = document.createElement("span");
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.accept = "image/*";
  input.setAttribute("aria-label", "Choose photos of pets");
  zone.append(words, input);
  el.append(zone);

  const show = () => {
    words.textContent = model.get("busy") ? "One moment …" : "Drop photos of pets here, or choose them:";
    zone.classList.toggle("petseg-busy", model.get("busy"));
  };
  show();
  model.on("change:busy", show);

  input.addEventListener("change", async () => {
    const files = [...input.files];
    await send(model, view, files);
    input.value = ""; // so that choosing the same file again is a change
  });
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      event.stopPropagation();
      zone.classList.add("petseg-over");
    });
  }
  zone.addEventListener("dragleave", () => zone.classList.remove("petseg-over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would upload the file to its folder
    zone.classList.remove("petseg-over");
    send(model, view, [...event.dataTransfer.files]);
  });
}

export default { render };
