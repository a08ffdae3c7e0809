// The address holds the state: view of the map, level, session and corrections. Never the photo.

import { bare } from "./session.js";

/** Return what the address says, or an empty object. */
export function readLink() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const [zoom, lat, lon] = (fields.get("map") ?? "").split("/").map(Number);
  return {
    view: fields.has("map") && [zoom, lat, lon].every(Number.isFinite) ? { zoom, lat, lon } : null,
    level: /^\d+$/.test(fields.get("level") ?? "") ? Number(fields.get("level")) : null,
    id: fields.get("photo"),
    corrections: decoded(fields.get("known")),
  };
}

/** Put a state into the address, without an entry in the browser's history. */
export function writeLink({ view, level, state }) {
  const fields = new URLSearchParams();
  if (view) fields.set("map", `${view.zoom.toFixed(2)}/${view.lat.toFixed(6)}/${view.lon.toFixed(6)}`);
  if (state) {
    fields.set("level", level);
    fields.set("photo", state.id);
    if (state.corrections.length) fields.set("known", encoded(state.corrections.map(bare)));
  }
  history.replaceState(null, "", `${location.pathname}${location.search}${state ? `#${String(fields).replaceAll("%2F", "/")}` : ""}`);
}

function encoded(value) {
  const text = String.fromCharCode(...new TextEncoder().encode(JSON.stringify(value)));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function decoded(text) {
  if (!text) return [];
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    const value = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(value) ? value.filter((one) => one && typeof one.kind === "string") : [];
  } catch {
    return [];
  }
}
