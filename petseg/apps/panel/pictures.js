// Pictures that arrive as messages: they are shown, or saved as files, and never become part of the notebook.

// The browser saves the file at once; where the page may not do that, the link stays there to be clicked.
function save(name, bytes, link) {
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  link.download = link.textContent = name;
  link.click();
}

function render({ model, el }) {
  const figures = new Map(); // by the key of the picture
  const grid = document.createElement("div");
  grid.className = "petseg-pictures";
  const link = document.createElement("a");
  link.className = "petseg-file";
  el.append(grid, link);

  const figure = (key) => {
    if (!figures.has(key)) {
      const drawn = document.createElement("figure");
      const caption = document.createElement("figcaption");
      const image = document.createElement("img");
      image.dataset.key = key;
      drawn.append(caption, image);
      grid.append(drawn);
      figures.set(key, { caption, image });
    }
    return figures.get(key);
  };

  const receive = (content, buffers) => {
    if (content.type === "save" && content.view === view) save(content.name, buffers[0], link);
    if (content.type !== "show") return;
    content.pictures.forEach(({ key, title, alt, kind }, index) => {
      const { caption, image } = figure(key);
      caption.textContent = title;
      image.alt = alt;
      URL.revokeObjectURL(image.src);
      image.src = URL.createObjectURL(new Blob([buffers[index]], { type: kind }));
      image.classList.toggle("petseg-checkerboard", key === "cut-out");
    });
  };
  const view = Math.random().toString(36).slice(2);
  model.on("msg:custom", receive);
  model.send({ type: "ready", view }); // a new or a second view: the pictures are sent again
  return () => model.off("msg:custom", receive);
}

export default { render };
