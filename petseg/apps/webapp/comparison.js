// The comparison's brush, which is that of panel and live page, and where its line stands after new HTML.

// After new HTML, the line returns to where the slider was; for another photo, it stays in the middle of the pet.
const photo = () => element.querySelector(".petseg-before img")?.alt;
let shown = photo();
const state = { tool: "keep", brush: 0.3, correcting: false };
const reactions = [];

/** What the brush needs of the front of panel and live page. */
const front = {
  viewers: [],
  get: (name) => state[name],
  set: (name, value) => {
    if (state[name] === value) return;
    state[name] = value;
    for (const [names, react] of reactions) if (names.includes(name)) react();
    // keys of the brush change the fields of the page as well
    if (name === "tool") document.querySelector(`#tool input[value=${value}]:not(:checked)`)?.click();
    if (name === "correcting" && !value) document.querySelector("#correction .label-wrap.open")?.click();
  },
  watch: (names, react) => {
    reactions.push([names, react]);
    react();
  },
  engine: { send: (message) => trigger(message.type === "undo" ? "delete" : "submit", message) },
};
window.petsegBrush = front;
const canvas = brush(front);
let focused = false; // whether the brush had the focus before new HTML took it out of the page
document.addEventListener("focusin", (event) => (focused = event.target === canvas));
const mark = () => element.querySelector(".petseg-comparison")?.classList.toggle("petseg-correcting", state.correcting);
front.watch(["correcting"], mark);

watch("value", () => {
  const slider = element.querySelector(".petseg-slider");
  if (slider && photo() !== shown) slider.value = slider.getAttribute("value");
  slider?.dispatchEvent(new Event("input"));
  shown = photo();
  element.querySelector(".petseg-comparison")?.append(canvas);
  if (focused && document.activeElement === document.body) canvas.focus({ preventScroll: true });
  mark();
  for (const view of front.viewers) view({ pictures: [] });
});
