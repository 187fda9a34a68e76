// The whole panel: what its parts share, and how it starts and ends.
class PanelView {
  constructor(model) {
    this.model = model;
    this.view = Math.random().toString(36).slice(2);
    this.pictures = new Map(); // image elements by key
    this.receivers = []; // [type of message, function]
    this.ending = new AbortController();
    this.signal = this.ending.signal;
    this.root = make("div", { className: "petseg-panel", role: "group", "aria-label": "Cut pets out of photos" });
    this.root.append(inputs(this), status(this), results(this));
    this.receive = this.receive.bind(this);
    model.on("msg:custom", this.receive);
    this.signal.addEventListener("abort", () => model.off("msg:custom", this.receive));
    keepKeys(this);
    this.send({ type: "ready", view: this.view }); // the kernel answers with everything to show
  }

  get(trait) {
    return this.model.get(trait);
  }

  set(trait, value) {
    if (value === this.get(trait)) return;
    this.model.set(trait, value);
    this.model.save_changes();
  }

  send(content, buffers) {
    this.model.send(content, undefined, buffers);
  }

  // Calls a function now and whenever one of the traits changes.
  watch(traits, react) {
    for (const event of traits.map((trait) => `change:${trait}`)) {
      this.model.on(event, react);
      this.signal.addEventListener("abort", () => this.model.off(event, react));
    }
    react();
  }

  on(type, react) {
    this.receivers.push([type, react]);
  }

  // A new image element for a key; it takes over the picture of the previous one.
  picture(key) {
    const image = make("img", { alt: "", src: this.pictures.get(key)?.src ?? "" });
    image.dataset.key = key;
    this.pictures.set(key, image);
    return image;
  }

  receive(content, buffers = []) {
    for (const [type, react] of this.receivers) if (type === content.type) react(content, buffers);
    if (content.type !== "show") return;
    content.pictures.forEach(({ key, kind, alt }, index) => {
      if (!this.pictures.has(key)) this.picture(key);
      show(this.pictures.get(key), buffers[index], kind, alt);
    });
  }
}

// The current work, and the messages.
function status(panel) {
  const words = make("p", { className: "petseg-status", role: "status" });
  const progress = make("progress", { className: "petseg-progress", "aria-label": "Photos" });
  const messages = make("div", {});
  panel.say = (text) => {
    words.textContent = text;
    panel.root.classList.toggle("petseg-busy", Boolean(text));
    panel.root.setAttribute("aria-busy", Boolean(text));
  };
  panel.watch(["busy"], () => panel.say(panel.get("busy")));
  panel.watch(["busy", "step"], () => {
    const [done, all] = panel.get("step");
    progress.hidden = !panel.get("busy") || all < 2;
    progress.max = all;
    progress.value = done;
  });
  panel.watch(["messages"], () => {
    const lines = panel.get("messages").map((text) => make("p", { className: "petseg-message", role: "alert" }, text));
    messages.replaceChildren(...lines);
  });
  return make("div", { className: "petseg-news" }, words, progress, messages);
}

// Keys that are pressed in the panel belong to its controls. JupyterLab would take arrows, letters and Enter: some on
// their way down to the control, which an attribute prevents, and some on their way up.
function keepKeys(panel) {
  const own = (event) => !(event.ctrlKey || event.metaKey || event.altKey);
  const decide = (event) => {
    if (panel.root.contains(event.target)) panel.root.toggleAttribute("data-lm-suppress-shortcuts", own(event));
  };
  window.addEventListener("keydown", decide, { capture: true, signal: panel.signal });
  panel.root.addEventListener("keydown", (event) => own(event) && event.stopPropagation());
}

function render({ model, el }) {
  const panel = new PanelView(model);
  el.append(panel.root);
  return () => panel.ending.abort();
}

export default { render };
