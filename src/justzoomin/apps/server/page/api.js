// Requests to the service. Addresses are relative, so the page also works behind a proxy with a path of its own.

/** An error of the service (problem details), or of the way to it. */
export class Problem extends Error {
  constructor(status, what, remedy, where = "") {
    super(what);
    Object.assign(this, { status, what, remedy, where });
  }

  /** Whether the server did not answer at all. */
  get gone() { return this.status === 0; }
}

export const server = new EventTarget();     // "gone" and "back": whether the server answers; "key": it asks for a key

let key = (() => { try { return sessionStorage.getItem("key"); } catch { return null; } })();
let away = false;

export function setKey(value) {
  key = value;
  try { sessionStorage.setItem("key", value); } catch { /* the key is kept in memory only */ }
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

/** Send a form with photos; `progress` gets the share that is sent. */
export function send(path, form, progress, signal, accept = "application/json") {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept", accept);
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.upload.onload = () => progress(1);
    request.onload = () => {
      reached();
      if (request.status < 400) resolve(accept.includes("json") ? parsed(request.responseText) : request.responseText);
      else reject(problem(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(lost());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Return what `<img>` and links can show: the address itself, or what was fetched with the key. */
export async function picture(path) {
  return key ? URL.createObjectURL(await (await answered("GET", path)).blob()) : path;
}

/** Save what the service gives at an address as a file. */
export async function save(path, name) {
  const address = URL.createObjectURL(await (await answered("GET", path)).blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Load a tile for OpenLayers, with the key if there is one. */
export function loadTile(tile, address) {
  const image = tile.getImage();
  if (!key) {
    image.src = address;
    return;
  }
  answered("GET", address).then((answer) => answer.blob()).then((blob) => {
    image.src = URL.createObjectURL(blob);
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
  }).catch(() => tile.setState(3));
}

/** Return the text of an answer, for results that are not JSON. */
export async function text(path) {
  return (await answered("GET", path)).text();
}

async function ask(method, path, body) {
  const answer = await answered(method, path, body);
  return answer.status === 204 ? null : parsed(await answer.text());
}

async function answered(method, path, body) {
  const headers = { ...(key && { Authorization: `Bearer ${key}` }), ...(body !== undefined && { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw lost();
  }
  reached();
  if (!answer.ok) throw problem(answer.status, await answer.text(), answer.headers.get("Retry-After"));
  return answer;
}

function parsed(content) {
  try {
    return content ? JSON.parse(content) : null;
  } catch {
    throw new Problem(500, "the server's answer cannot be read", "Try again. If it happens again, look at the server's log.");
  }
}

function problem(status, content, wait) {
  if (status === 401 || status === 403) server.dispatchEvent(new Event("key"));
  let told = {};
  try { told = JSON.parse(content); } catch { /* not from the service: a proxy, perhaps */ }
  const words = DEFAULTS[status] ?? [`the server answers with status ${status}`, "Try again in a moment."];
  const remedy = told.remedy ?? (wait ? `Try again in ${wait} seconds.` : words[1]);
  return new Problem(status, told.what ?? words[0], remedy, told.where ?? "");
}

const DEFAULTS = {
  401: ["the server asks for a key", "Give the key that was set when the server was started."],
  404: ["the server does not know this", "Load the page again."],
  413: ["the file is too large for the server", "Send a smaller photo."],
  502: ["the server does not answer", "Check that it is running."],
  503: ["the server is busy", "Try again in a moment."],
  504: ["the server took too long", "Try again in a moment."],
};

function lost() {
  if (!away) {
    away = true;
    server.dispatchEvent(new Event("gone"));
    wait();
  }
  return new Problem(0, "the server does not answer", "Check that it is running. Nothing is lost: your photo is still here.");
}

function reached() {
  if (away) {
    away = false;
    server.dispatchEvent(new Event("back"));
  }
}

function wait() {
  setTimeout(async () => {
    if (!away) return;
    try {
      const answer = await fetch("readyz", { cache: "no-store" });
      if (answer.ok) reached(); else wait();
    } catch {
      wait();
    }
  }, 2000);
}

/** Ask at once whether the server is back. */
export async function knock() {
  try {
    if ((await fetch("readyz", { cache: "no-store" })).ok) reached();
  } catch { /* still away; the banner stays */ }
}
