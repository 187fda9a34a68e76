// Elements of the panel. The files of this folder are joined to one module, in the order of SCRIPTS in widget.py.

// An element with properties and children; names that are not properties of elements (aria-..., for) become attributes.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function button(text, onclick, more = "") {
  return make("button", { type: "button", className: `petseg-button ${more}`, onclick }, text);
}

// A label that looks like a button and contains a file input, which can still be reached by keyboard.
function fileButton(text, multiple, onfiles, more = "") {
  const input = make("input", { type: "file", multiple, accept: "image/*,.heic,.heif,.avif", className: "petseg-unseen" });
  input.onchange = () => {
    const files = [...input.files];
    input.value = ""; // so that choosing the same file again is a change
    onfiles(files);
  };
  return make("label", { className: `petseg-button ${more}` }, text, input);
}

function field(text, control, more = "") {
  return make("label", { className: `petseg-field ${more}` }, make("span", {}, text), control);
}

// A select whose value is a trait; choices are [text, value].
function select(panel, trait, choices) {
  const control = make("select", { onchange: () => panel.set(trait, control.value) });
  control.append(...choices.map(([text, value]) => make("option", { value }, text)));
  panel.watch([trait], () => (control.value = panel.get(trait)));
  return control;
}

// A slider whose value is a trait; its value in words stands beside it.
function slider(panel, trait, text, [min, max], step, words) {
  const control = make("input", { type: "range", min, max, step });
  const value = make("span", { className: "petseg-value" }); // not an output element: the label would then name it
  control.oninput = () => panel.set(trait, Number(control.value));
  panel.watch([trait], () => {
    if (Number(control.value) !== panel.get(trait)) control.value = panel.get(trait);
    value.textContent = words(panel.get(trait));
    control.setAttribute("aria-valuetext", value.textContent);
  });
  return make("label", { className: "petseg-field petseg-slide" }, make("span", {}, text, value), control);
}

function checkbox(text, checked, onchange) {
  const control = make("input", { type: "checkbox", checked, onchange: () => onchange(control.checked) });
  return make("label", { className: "petseg-check" }, control, text);
}
