// Saves a file that the server has written, and says so in the status.
({ url, orig_name }) => {
  Object.assign(document.createElement("a"), { href: url, download: orig_name }).click();
  return `<p class="done">Saved: ${orig_name}</p>`;
}
