// Shows a picture that the server has written with one of its pixels on each of the screen; Escape closes it.
({ url }) => {
  const view = Object.assign(document.createElement("dialog"), { className: "petseg-actual", ariaLabel: "The cut-out at its own size" });
  const close = Object.assign(document.createElement("button"), { textContent: "Close" });
  view.append(close, Object.assign(new Image(), { src: url, alt: "The cut-out at its own size" }));
  view.onclose = () => view.remove();
  close.onclick = () => view.close();
  document.body.append(view);
  view.showModal();
  return "";
}
