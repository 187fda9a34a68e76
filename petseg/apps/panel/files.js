// Files to the kernel and from it.
const PART = 1 << 20; // bytes: a notebook server refuses large messages silently

// Each message names its view: two browser windows that show one panel may upload at once.
async function send(panel, purpose, files) {
  const most = panel.get("max_bytes");
  for (const [index, file] of files.entries()) {
    const about = { view: panel.view, purpose, name: file.name || "pasted.png", index: index + 1, of: files.length };
    if (file.size > most) {
      panel.send({ type: "too large", size: file.size, ...about });
      continue;
    }
    panel.say(`Sending ${about.name} …`);
    let bytes;
    try {
      bytes = await file.arrayBuffer();
    } catch {
      panel.say(panel.get("busy"));
      panel.send({ type: "unreadable", ...about });
      continue;
    }
    const parts = Math.max(1, Math.ceil(bytes.byteLength / PART));
    for (let part = 0; part < parts; part++) {
      const buffer = bytes.slice(part * PART, (part + 1) * PART);
      panel.send({ type: "part", part, parts, ...about }, [buffer]);
    }
  }
}

// The browser saves the file at once; if the page is not allowed to do that, the link can still be clicked.
function save(link, name, bytes) {
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = link.textContent = name;
  link.click();
}

function show(image, bytes, type, alt) {
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(new Blob([bytes], { type }));
  image.alt = alt;
}
