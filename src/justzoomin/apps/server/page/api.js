// Requests to the service. Addresses are relative to the page, so it also works below a path of a proxy.

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
const KNOCK_MS = 2000;
let away = false;

/** Keep the server's key until the browser is closed; as a cookie, because pictures are asked for without headers. */
export function setKey(key) {
  document.cookie = `jzi_token=${encodeURIComponent(key)}; path=${location.pathname}; SameSite=Strict`;
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);
export const text = async (path) => (await answered("GET", path)).text();

/** Send a form with photos; `progress` gets the share that is sent. Resolves to what JSON says, or to text of other kinds. */
export function send(path, form, progress, signal, accept = "application/json") {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Accept", accept);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.upload.onload = () => progress(1);
    request.onload = () => {
      reached();
      try {
        if (request.status >= 400) throw problem(request.status, request.responseText, request.getResponseHeader("Retry-After"));
        resolve(accept.includes("json") ? parsed(request.responseText) : request.responseText);
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = () => reject(lost());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Save what the service gives at an address as a file. */
export async function save(path, name) {
  saveBlob(await (await answered("GET", path)).blob(), name);
}

/** Save bytes as a file. */
export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Return a file that the service has. */
export async function file(path, name) {
  const blob = await (await answered("GET", path)).blob();
  return new File([blob], name, { type: blob.type });
}

/** Ask whether the server is back. */
export async function knock() {
  try {
    if ((await fetch("readyz", { cache: "no-store" })).ok) reached();
  } catch { /* still away; the banner stays */ }
}

async function ask(method, path, body) {
  const answer = await answered(method, path, body);
  return parsed(await answer.text());
}

async function answered(method, path, body) {
  const json = body !== undefined && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, { method, ...json });
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
  if (status === 401) server.dispatchEvent(new Event("key"));
  let told = {};
  try { told = JSON.parse(content); } catch { /* not from the service: a proxy, perhaps */ }
  const [what, remedy] = DEFAULTS[status] ?? [`the server answers with status ${status}`, "Try again in a moment."];
  return new Problem(status, told.what ?? what, told.remedy ?? (wait ? `Try again in ${wait} seconds.` : remedy), told.where ?? "");
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
    await knock();
    if (away) wait();
  }, KNOCK_MS);
}
