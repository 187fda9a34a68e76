// The brush: strokes over what is missing from the cut-out, or too much of it, by mouse, finger, pen or keyboard.

import { make } from "./elements.js";

/** A place in the shown part of the photo, 0 to 1 from its left and from its top. @typedef {[number, number]} Point */
/** @typedef {import("./front.js").Front} Front */

const WIDEST = 0.08; // radius, as a fraction of the longest side
const ARROW = 0.02; // of the arrow keys
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const COLORS = { keep: "rgb(46 125 107 / 60%)", remove: "rgb(213 94 0 / 60%)" };
const HELP = "Brush: arrow keys move it, the space bar paints, K keeps, R removes, Z undoes, Escape ends";

/** @param {Front} front */
export function brush(front) {
  const canvas = make("canvas", { className: "petseg-brush", tabIndex: 0, role: "application", "aria-label": HELP });
  /** @type {Point[]} */
  let points = []; // of the present stroke
  /** @type {Point} */
  let place = [0.5, 0.5];
  let painting = false;
  const radius = () => WIDEST * front.get("brush");
  const redraw = () => draw(canvas, points, place, radius(), front.get("tool"));
  const end = () => {
    painting = false;
    front.engine.send({ type: "stroke", keep: front.get("tool") === "keep", radius: radius(), points });
  };
  const clear = () => {
    if (painting) return;
    points = [];
    redraw();
  };
  front.viewers.push(clear);
  front.watch(["tool", "brush"], redraw);
  front.watch(["correcting"], () => {
    canvas.hidden = !front.get("correcting");
    if (canvas.hidden) painting = false; // a stroke that was begun is given up
    clear();
    if (!canvas.hidden) canvas.focus();
  });
  const move = (/** @type {PointerEvent} */ event) => {
    if (!event.isPrimary) return; // a second finger
    if (painting && !event.buttons) return end(); // released where the canvas did not hear of it
    place = [event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight];
    if (painting) points.push(place);
    redraw();
  };
  canvas.onpointerdown = (event) => {
    if (!event.isPrimary || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    [painting, points] = [true, []];
    move(event);
  };
  canvas.onpointermove = move;
  canvas.onpointerup = canvas.onpointercancel = (event) => event.isPrimary && painting && end();
  canvas.onkeydown = (event) => {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.repeat && " z".includes(key)) return event.preventDefault(); // a key that is held paints once
    if (key in KEYS) {
      const [x, y] = KEYS[/** @type {keyof typeof KEYS} */ (key)];
      const within = (/** @type {number} */ value) => Math.min(1, Math.max(0, value));
      place = [within(place[0] + ARROW * x), within(place[1] + ARROW * y)];
      const frame = canvas.closest(".petseg-viewer"); // scrolls where the photo is enlarged
      const [W, H] = [canvas.clientWidth * place[0], canvas.clientHeight * place[1]];
      frame?.scrollTo(W - frame.clientWidth / 2, H - frame.clientHeight / 2);
    } else if (key === " ") {
      points = [place];
      end();
    } else if (key === "k" || key === "r") front.set("tool", key === "k" ? "keep" : "remove");
    else if (key === "z") front.engine.send({ type: "undo" });
    else if (key === "Escape") front.set("correcting", false);
    else return;
    event.preventDefault();
    redraw();
  };
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @param {Point[]} points @param {Point} place @param {number} radius @param {keyof typeof COLORS} tool */
function draw(canvas, points, place, radius, tool) {
  const [W, H] = [canvas.clientWidth, canvas.clientHeight];
  const ink = canvas.getContext("2d");
  if (!ink || !W) return;
  [canvas.width, canvas.height] = [W, H]; // also clears it
  ink.strokeStyle = COLORS[tool];
  drawLine(ink, points, radius, W, H);
  for (const [color, width] of /** @type {[string, number][]} */ ([["#000", 3], ["#fff", 1.5]])) {
    ink.beginPath();
    ink.arc(W * place[0], H * place[1], radius * Math.max(W, H), 0, 2 * Math.PI);
    [ink.strokeStyle, ink.lineWidth] = [color, width];
    ink.stroke();
  }
}

/**
 * Draws a stroke of the brush on a canvas of W x H pixels.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} ink
 * @param {Point[]} points
 * @param {number} radius as a fraction of the longest side
 * @param {number} W
 * @param {number} H
 */
export function drawLine(ink, points, radius, W, H) {
  [ink.lineCap, ink.lineJoin, ink.lineWidth] = ["round", "round", Math.max(1, 2 * radius * Math.max(W, H))];
  ink.beginPath();
  for (const [x, y] of points) ink.lineTo(W * x, H * y);
  if (points.length === 1) ink.lineTo(W * points[0][0] + 0.01, H * points[0][1]); // a dot
  ink.stroke();
}
