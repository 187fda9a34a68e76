// Hands a picture that the server has written to another program of the phone.
async ({ url, orig_name }) => {
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(answer.statusText);
    const picture = await answer.blob();
    await navigator.share({ files: [new File([picture], orig_name, { type: picture.type })] });
    return "";
  } catch (error) {
    if (error.name === "AbortError") return ""; // the visitor changed their mind
    return '<p class="failed">The browser does not let this page share. Download the picture instead.</p>';
  }
}
