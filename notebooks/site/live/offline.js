// A service worker: keeps the live page and all that it loads, so that it works without a network after the first visit.
// The build fills in the version and the files, and puts this script beside the page.

const OURS = "petseg-"; // other apps of this origin have caches, too
const VERSION = OURS + "<version>";
const FILES = ["<files>"];
const events = /** @type {any} */ (self);

events.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(keep().then(() => events.skipWaiting())));
events.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(forget().then(() => events.clients.claim())));

async function keep() {
  const cache = await caches.open(VERSION);
  await cache.addAll(FILES.map((name) => new Request(name, { cache: "reload" }))); // of this version, from the server
  // what the page itself loads beside its own files, as the site's style sheets
  const html = await (await cache.match("live.html"))?.text();
  const addresses = [...(html ?? "").matchAll(/(?:href|src)="([^"#:]+\.(?:css|js|woff2|svg|png)(?:\?[^"]*)?)"/g)];
  await Promise.allSettled(addresses.map(([, address]) => cache.add(address.replace(/&amp;/g, "&"))));
}

async function forget() {
  for (const name of await caches.keys()) if (name.startsWith(OURS) && name !== VERSION) await caches.delete(name);
}

events.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(new URL(".", location.href).href)) return;
  // the files of one version fit together, the page among them; any other page comes from the network where there is one
  const ours = FILES.some((name) => new URL(request.url).pathname.endsWith(`/${name}`));
  event.respondWith(ours ? kept(request).then((answer) => answer ?? fetch(request)) : fetch(request).catch(() => kept(request)));
});

/** @param {Request} request */
async function kept(request) {
  return (await caches.open(VERSION)).match(request, { ignoreSearch: request.mode === "navigate" });
}
