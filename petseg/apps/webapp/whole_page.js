// Photos may be dropped or pasted anywhere on the page, and its folded parts say that they are folded.
() => {
  document.addEventListener("dragover", (event) => event.preventDefault());
  for (const kind of ["drop", "paste"]) document.addEventListener(kind, (event) => {
    if (event.defaultPrevented) return;
    const files = (event.dataTransfer ?? event.clipboardData)?.files;
    if (files?.length || kind === "drop") event.preventDefault(); // else the browser leaves the page for what was dropped
    if (!files?.length) return;
    take(files);
  });
  const take = (files) => {
    const input = pick();
    if (!input) return setTimeout(take, 100, files); // while others are on their way
    input.files = files;
    input.dispatchEvent(new Event("change"));
  };
  const pick = () => document.querySelector("#photos input[type=file]");
  window.petsegCamera = () => {
    const input = pick();
    if (!input) return; // while photos are on their way
    Object.assign(input, { accept: "image/*", capture: "environment" }).click();
    for (const name of ["accept", "capture"]) input.removeAttribute(name);
  };
  document.body.classList.toggle("petseg-copies", Boolean(navigator.clipboard) && "ClipboardItem" in window);
  const file = new File([], "pet.png", { type: "image/png" });
  document.body.classList.toggle("petseg-shares", Boolean(navigator.canShare?.({ files: [file] })));
  const say = () => {  // what a sighted visitor sees of a folded part
    for (const head of document.querySelectorAll(".label-wrap")) head.ariaExpanded = head.classList.contains("open");
  };
  const changed = { subtree: true, childList: true, attributeFilter: ["class"] };
  new MutationObserver(say).observe(document.querySelector("main") ?? document.body, changed);
  say();
}
