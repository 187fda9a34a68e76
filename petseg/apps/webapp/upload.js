// Files that are chosen, dropped or pasted are uploaded; then `props.value` lists them and the event "upload" tells the
// server. `element` is Gradio's element around upload.html's text; `props`, `trigger` and `upload` are Gradio's.
const input = element.querySelector("input[type=file]");
const zone = element.querySelector(".drop");
const status = element.querySelector("[role=status]");
const most = Number(input.dataset.mostBytes);
const here = new AbortController(); // ends the listeners of the whole page once this element is gone

function refusal(file) {
  if (file.size <= most) return "";
  const megabytes = Math.ceil(file.size / 1e5) / 10;
  return `${file.name}: ${megabytes} MB; at most ${most / 1e6} are taken. Shrink it.`;
}

async function take(list) {
  const chosen = [...list];
  const files = [];
  const refused = chosen.map(refusal).filter(Boolean);
  const allowed = chosen.filter((file) => !refusal(file));
  for (const [index, file] of allowed.entries()) {
    const count = allowed.length > 1 ? ` (${index + 1} of ${allowed.length})` : "";
    status.textContent = `Uploading ${file.name}${count}`;
    try {
      const { path } = await upload(file);
      files.push({ path, orig_name: file.name, meta: { _type: "gradio.FileData" } });
    } catch {
      refused.push(`${file.name}: could not be uploaded. Check the connection, and that it is a file.`);
    }
  }
  waitForAnswer();
  props.value = { files, refused };
  trigger("upload");
}

// until the server says something itself
function waitForAnswer() {
  status.textContent = "Waiting for the server";
  const done = () => {
    observer.disconnect();
    clearTimeout(timer);
    status.textContent = "";
  };
  const observer = new MutationObserver(done);
  const timer = setTimeout(done, 60000);
  observer.observe(document.getElementById(input.dataset.answer), { childList: true, subtree: true, characterData: true });
}

input.addEventListener("change", () => {
  if (input.files.length) take(input.files);
  input.value = ""; // the same file may be chosen again
});

function holdsFiles(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

// on the whole page, or on this element alone
function listen(target, name, action) {
  target.addEventListener(name, (event) => (element.isConnected ? action(event) : here.abort()), { signal: here.signal });
}

const target = input.dataset.wholePage ? document : zone;
listen(target, "dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  zone.classList.add("over");
});
listen(target, "dragleave", (event) => {
  if (target !== document || !event.relatedTarget) zone.classList.remove("over");
});
listen(target, "drop", (event) => {
  zone.classList.remove("over");
  if (event.defaultPrevented || !holdsFiles(event)) return;
  event.preventDefault();
  take(event.dataTransfer.files);
});
if (target === document) {
  listen(document, "paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });
}
