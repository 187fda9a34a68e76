// Every request that fails ends in a sentence, which Gradio shows. Left alone, it would lose the click, or wait for ever.
(() => {
  const GONE = "The server does not answer. Check the connection, then try again.";
  const send = window.fetch;

  /** @param {Response} answer that is not ok */
  async function reason(answer) {
    const text = await answer.text().catch(() => "");
    const isSentence = answer.headers.get("content-type")?.startsWith("text/plain") && answer.status < 500;
    if (isSentence || text.startsWith('{"detail":"')) return isSentence ? text : JSON.parse(text).detail;
    if (answer.status === 413) return "The photo is larger than the server takes. Shrink it and try again.";
    if (answer.status < 500) return `The server refuses this (${answer.status}). Load the page again.`;
    return `The server fails (${answer.status}). Try again in a few minutes.`;
  }

  /** The events after which Gradio shows a sentence and waits no longer. @param {string} error */
  const failed = (error) =>
    [{ msg: "process_completed", success: false, output: { error, visible: true } }, { msg: "close_stream" }]
      .map((event) => `data: ${JSON.stringify(event)}\n\n`)
      .join("");

  /** The events of the server, and a sentence if they break off. @param {Response} answer */
  function followed(answer) {
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let last = "";
    const body = new ReadableStream({
      async pull(controller) {
        const { done, value } = await reader.read().catch((error) => {
          if (error.name === "AbortError") throw error; // Gradio has all events
          return { done: true };
        });
        if (!done) {
          last = (last + decoder.decode(value, { stream: true })).slice(-200);
          return controller.enqueue(value);
        }
        if (!last.includes("close_stream")) controller.enqueue(new TextEncoder().encode(failed(GONE)));
        controller.close();
      },
      cancel: (why) => reader.cancel(why),
    });
    return new Response(body, answer);
  }

  window.fetch = async (request, options) => {
    const kind = String(request.url ?? request).match(/\/gradio_api\/(upload|queue\/join|queue\/data)(\?|$)/)?.[1];
    if (!kind) return send(request, options);
    let sentence = GONE;
    try {
      const answer = await send(request, options);
      if (answer.ok) return kind === "queue/data" ? followed(answer) : answer;
      sentence = await reason(answer);
    } catch (error) {
      if (error.name === "AbortError") throw error;
    }
    if (kind === "queue/data") return new Response(failed(sentence));
    // whatever the status was: of 503, Gradio would say that the page is busy
    return new Response(kind === "upload" ? sentence : JSON.stringify({ detail: sentence }), { status: 500 });
  };
})();
