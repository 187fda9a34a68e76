// Elements of the front.

/** @typedef {import("./front.js").Front} Front */

/**
 * An element with properties and children; names that are not properties of elements (aria-..., role) become attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Object<string, any>} properties
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** @param {string} text @param {() => void} onclick @param {string} more classes */
export function button(text, onclick, more = "") {
  return make("button", { type: "button", className: `petseg-button ${more}`, onclick }, text);
}

/**
 * A label that looks like a button and contains a file input, which can still be reached by keyboard.
 * @param {string} text
 * @param {(files: File[]) => void} onfiles
 * @param {object} settings of the input
 * @param {string} more classes
 */
export function fileButton(text, onfiles, settings = {}, more = "") {
  const input = make("input", { type: "file", accept: "image/*,.heic,.heif,.avif", className: "petseg-unseen", ...settings });
  input.onchange = () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // so that choosing the same file again is a change
    onfiles(files);
  };
  return make("label", { className: `petseg-button ${more}` }, text, input);
}

/**
 * Choices side by side, of which one is the value of the state's `name`.
 * @param {Front} front
 * @param {string} name
 * @param {string} legend
 * @param {[string, string][]} choices words and value
 */
export function chips(front, name, legend, choices) {
  const group = make("fieldset", { className: "petseg-chips" }, make("legend", {}, legend));
  for (const [text, value] of choices) {
    const group_name = `petseg-${name}-${front.view}`; // each view has its own
    const choice = make("input", { type: "radio", name: group_name, value, className: "petseg-unseen" });
    choice.onchange = () => front.set(name, value);
    group.append(make("label", { className: "petseg-chip" }, choice, make("span", {}, text)));
    front.watch([name], () => (choice.checked = front.get(name) === value));
  }
  return group;
}

/** A select whose value is in the state. @param {Front} front @param {string} name @param {string} text @param {[string, string][]} choices words and value */
export function select(front, name, text, choices) {
  const control = make("select", { onchange: () => front.set(name, control.value) });
  control.append(...choices.map(([words, value]) => make("option", { value }, words)));
  front.watch([name], () => (control.value = front.get(name)));
  return make("label", { className: "petseg-field" }, make("span", {}, text), control);
}

/** A slider from 0 to 1 whose value is in the state. @param {Front} front @param {string} name @param {string} text @param {number} least */
export function slider(front, name, text, least = 0) {
  const control = make("input", { type: "range", min: least, max: 1, step: 0.05 });
  control.oninput = () => front.set(name, Number(control.value));
  front.watch([name], () => {
    if (Number(control.value) !== front.get(name)) control.value = front.get(name);
    control.setAttribute("aria-valuetext", `${Math.round(100 * front.get(name))} %`);
  });
  return make("label", { className: "petseg-field petseg-slide" }, make("span", {}, text), control);
}

/** A box to tick. @param {string} text @param {(checked: boolean) => void} onchange */
export function checkbox(text, onchange) {
  const control = make("input", { type: "checkbox", onchange: () => onchange(control.checked) });
  return { control, label: make("label", { className: "petseg-check" }, control, text) };
}

/** A box to tick whose value is in the state. @param {Front} front @param {string} name @param {string} text */
export function toggle(front, name, text) {
  const { control, label } = checkbox(text, (checked) => front.set(name, checked));
  front.watch([name], () => (control.checked = front.get(name)));
  return label;
}
