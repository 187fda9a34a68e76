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

  // The server ends its stream of events after each last one. Gradio, which learns of that later, takes the stream for
  // open until then, and would never see the answer to what joins the queue in between. So an end is passed on only if
  // nothing is waited for, and what joins after it is answered when Gradio has taken note.
  let joining = 0; // requests to join without an answer
  const joined = new Set(); // events that are waited for
  const early = new Set(); // events that were completed before the answer which names them
  let noted = Promise.resolve();
  let wake = () => {}; // something may have joined

  /** Joins the queue. @param {Parameters<typeof fetch>} call */
  async function join(...call) {
    joining += 1;
    try {
      const answer = await send(...call);
      const event = answer.ok && (await answer.clone().json()).event_id;
      if (event && !early.delete(event)) joined.add(event);
      return answer;
    } finally {
      joining -= 1;
      wake();
      await noted;
    }
  }

  /** Passes the events of a stream on, but for its end, which it gives; "" if it breaks off.
   * @param {Response} answer @param {ReadableStreamDefaultController} controller */
  async function pass(answer, controller) {
    const reader = answer.body.getReader();
    const decoder = new TextDecoder();
    let rest = ""; // an event of which a part is still to come, or the end
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done) return rest.includes('"close_stream"') ? rest : "";
      const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = events.pop();
      if (events.at(-1)?.includes('"close_stream"')) rest = `${events.pop()}\n\n`;
      for (const event of events) {
        controller.enqueue(new TextEncoder().encode(`${event}\n\n`));
        if (!event.startsWith("data: ")) continue;
        const { msg, event_id: name } = JSON.parse(event.slice("data: ".length));
        if (msg === "process_completed" && !joined.delete(name)) early.add(name);
      }
    }
  }

  /** The events of the server while any is waited for, and a sentence if they break off.
   * @param {Response} answer @param {Request} request */
  function followed(answer, request) {
    let sentence = GONE;
    const again = async (controller) => {
      const next = await send(request);
      if (next.ok) return pass(next, controller);
      sentence = await reason(next);
      return "";
    };
    const start = async (controller) => {
      let end = await pass(answer, controller).catch(() => "");
      while (end && (joining || joined.size)) {
        if (joined.size) end = await again(controller).catch(() => "");
        else await new Promise((resolve) => (wake = resolve));
      }
      joined.clear();
      if (request.signal.aborted) return controller.error(request.signal.reason); // by Gradio, which says so
      noted = new Promise((resolve) => {
        request.signal.addEventListener("abort", resolve);
        setTimeout(resolve, 1000);
      });
      controller.enqueue(new TextEncoder().encode(end || failed(sentence)));
      controller.close();
    };
    return new Response(new ReadableStream({ start }), answer);
  }

  window.fetch = async (request, options) => {
    const kind = String(request.url ?? request).match(/\/gradio_api\/(upload|queue\/join|queue\/data)(\?|$)/)?.[1];
    if (!kind) return send(request, options);
    let sentence = GONE;
    try {
      const answer = await (kind === "queue/join" ? join : send)(request, options);
      if (answer.ok) return kind === "queue/data" ? followed(answer, request) : answer;
      sentence = await reason(answer);
    } catch (error) {
      if (error.name === "AbortError") throw error;
    }
    if (kind === "queue/data") {
      joined.clear();
      return new Response(failed(sentence));
    }
    // whatever the status was: of 503, Gradio would say that the page is busy
    return new Response(kind === "upload" ? sentence : JSON.stringify({ detail: sentence }), { status: 500 });
  };
})();
