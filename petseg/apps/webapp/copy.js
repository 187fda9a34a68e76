// Copies a picture that the server has written, and says so in the status.
async ({ url }) => {
  try {
    const png = fetch(url).then((answer) => (answer.ok ? answer.blob() : Promise.reject())); // a promise, as Safari asks
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    return '<p class="done">Copied: paste it elsewhere.</p>';
  } catch {
    return '<p class="failed">The browser does not let this page copy. Download the picture instead.</p>';
  }
}
