// What the page shows and hears. The work is done in worker.js; nothing is sent anywhere.

/** @typedef {{width: number, height: number, found: boolean, doubtful: boolean, note: string}} Result */

const page = /** @type {HTMLElement} */ (document.querySelector(".petseg-live"));
const status = find(".petseg-status");
const result = find(".petseg-result");
const color = /** @type {HTMLInputElement} */ (find("input[type=color]"));
const chosen = /** @type {HTMLInputElement} */ (find("input[type=file]"));
const [before, after] = ["before", "after"].map((side) => find(`.petseg-${side}`));

/** What is shown on the right of the line, and the word in its corner. @type {Object<string, string>} */
const TITLES = { cutout: "Cut-out", color: "Cut-out", blur: "Cut-out", classes: "Class map" };

/** @param {string} selector @returns {HTMLElement} */
function find(selector) {
  return /** @type {HTMLElement} */ (page.querySelector(selector));
}

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
/** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
const waiting = new Map();
let requests = 0;

/** Asks the worker. @param {string} type @param {object} request @returns {Promise<any>} */
function ask(type, request = {}) {
  const id = ++requests;
  worker.postMessage({ id, type, ...request });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

worker.addEventListener("message", ({ data: { id, answer, error } }) => {
  const promise = waiting.get(id);
  waiting.delete(id);
  if (error) promise?.reject(new Error(error));
  else promise?.resolve(answer);
});
worker.addEventListener("error", () => /** @type {any} */ (window).petsegFailed()); // defined in page.html

/** @param {string} sentence @param {boolean} failed */
function say(sentence, failed = false) {
  status.textContent = sentence;
  status.classList.toggle("petseg-failed", failed);
}

/** @param {boolean} busy */
function setBusy(busy) {
  page.classList.toggle("petseg-busy", busy);
  page.setAttribute("aria-busy", String(busy));
}

let photos = 0; // how many were opened: what belongs to an earlier one is dropped
let photoName = "";
/** @type {Map<string, string>} addresses of the pictures of the present photo, by kind */
const pictures = new Map();
/** What is said of a photo without a pet, and of one that does not look like one. */
let [noPet, isItAPet] = ["", ""];

const anyway = find(".petseg-anyway");
/** Shows the doubtful cut-out. @type {() => Promise<void>} */
let showAnyway = async () => {};

/** Segments a photo and shows it. @param {Blob} file @param {string} name */
async function openPhoto(file, name) {
  const photo = ++photos;
  setBusy(true);
  say(`Looking for the pet in ${name} …`);
  try {
    const begun = performance.now();
    /** @type {Result} */
    const found = await ask("segment", { file, name });
    if (photo !== photos) return;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    pictures.forEach((address) => URL.revokeObjectURL(address));
    pictures.clear();
    photoName = name;
    showAnyway = async () => {
      anyway.hidden = true;
      await show(found);
      if (photo !== photos) return;
      say(`${name}: ${found.width} x ${found.height} pixels, cut out in ${seconds} s. ${found.note}`.trim());
    };
    if (found.found && !found.doubtful) return await showAnyway();
    result.hidden = true;
    anyway.hidden = !found.doubtful;
    say((found.doubtful ? isItAPet : noPet).replace("{photo}", () => name), true);
  } catch (error) {
    if (photo === photos) say(/** @type {Error} */ (error).message, true);
  } finally {
    if (photo === photos) setBusy(false);
  }
}

/** @param {Result} found */
async function show({ width, height }) {
  const comparison = /** @type {HTMLElement} */ (before.parentElement);
  comparison.style.setProperty("--petseg-ratio", String(width / height));
  await put(before, "photo", `The photo ${photoName}`);
  await showAfter();
  result.hidden = false;
  result.scrollIntoView({ block: "nearest" });
}

/** The right side as chosen: the cut-out before a background, or the class map. */
async function showAfter() {
  const kind = choice();
  const classes = kind === "classes";
  const alt = classes ? "Pet, background and boundary in three colours" : "The pet, cut out";
  await put(after, classes ? "classes" : "cutout", alt);
  const behind = kind === "blur" ? `url(${await address("background")}) 0 0 / 100% 100%` : "";
  after.style.background = kind === "color" ? color.value : behind;
  /** @type {HTMLElement} */ (after.querySelector(".petseg-title")).textContent = TITLES[kind];
}

/** Shows what was chosen for the right side. */
async function change() {
  setBusy(true);
  await showAfter().catch((error) => say(error.message, true));
  setBusy(false);
}

function choice() {
  return /** @type {HTMLInputElement} */ (find("input[name=petseg-after]:checked")).value;
}

/** Shows a picture when it is decoded, so that nothing flickers. @param {Element} side @param {string} kind @param {string} alt */
async function put(side, kind, alt) {
  const image = /** @type {HTMLImageElement} */ (side.querySelector("img"));
  image.src = await address(kind);
  image.alt = alt;
  await image.decode().catch(() => {}); // another picture has taken its place
}

/** Address of a picture of the present photo. @param {string} kind */
async function address(kind) {
  const known = pictures.get(kind);
  if (known) return known;
  const { blob } = await ask("picture", { kind, small: true });
  const made = URL.createObjectURL(blob);
  pictures.set(kind, made);
  return made;
}

async function download() {
  const kind = choice();
  setBusy(true);
  try {
    const { blob } = await ask("picture", { kind, color: color.value });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    const stem = photoName.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}_ .()-]/gu, "_") || "photo";
    link.download = `${stem}.${kind === "classes" ? "mask" : "cutout"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    say(/** @type {Error} */ (error).message, true);
  }
  setBusy(false);
}

/** @param {FileList | undefined} files @param {string} name of a file that has none */
function take(files, name = "photo") {
  if (files?.length) openPhoto(files[0], files[0].name || name);
  else say("That was no file. Choose a photo from your computer or phone.", true);
}

chosen.addEventListener("change", () => {
  if (chosen.files?.length) take(chosen.files);
  chosen.value = ""; // so that choosing the same file again is a change
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  page.classList.add("petseg-over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || page.classList.remove("petseg-over"));
document.addEventListener("drop", (event) => {
  event.preventDefault(); // the browser would leave the page and show the file
  page.classList.remove("petseg-over");
  take(event.dataTransfer?.files);
});
document.addEventListener("paste", (event) => event.clipboardData?.files.length && take(event.clipboardData.files));
for (const radio of page.querySelectorAll("input[name=petseg-after]")) radio.addEventListener("change", change);
color.addEventListener("input", () => {
  /** @type {HTMLInputElement} */ (find("input[value=color]")).checked = true;
  change();
});
find(".petseg-download").addEventListener("click", download);
anyway.addEventListener("click", () => showAnyway().catch((error) => say(error.message, true)));

// The samples are fetched with the page, so that a click on one fetches nothing either.
for (const button of page.querySelectorAll(".petseg-samples button")) {
  const image = /** @type {HTMLImageElement} */ (button.querySelector("img"));
  const loaded = fetch(image.src).then((answer) => answer.blob());
  button.addEventListener("click", async () => openPhoto(await loaded, decodeURI(image.src.split("/").at(-1) ?? "")));
}

say("Loading the model …");
ask("settings").then(
  (settings) => {
    [noPet, isItAPet] = [settings.no_pet, settings.doubtful];
    page.classList.add("petseg-ready");
    if (!photos) {
      say("The model is loaded. Choose a photo.");
      setBusy(false);
    }
  },
  (error) => {
    say(error.message, true);
    setBusy(false);
  },
);
