// Hands a picture that the server has written to another program of the phone.
async ({ url, orig_name }) => {
  try {
    const picture = await (await fetch(url)).blob();
    await navigator.share({ files: [new File([picture], orig_name, { type: picture.type })] });
    return "";
  } catch (error) {
    if (error.name === "AbortError") return ""; // the visitor changed their mind
    return '<p class="failed">The browser does not let this page share. Download the picture instead.</p>';
  }
}
