// The address holds the state: view of the map, level, session and corrections. Never the photo.

/** Return what the address says: `view`, `level`, `id` of a session, `known`: the text of its corrections. */
export function readLink() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const [zoom, lat, lon] = (fields.get("map") ?? "").split("/").map(Number);
  return {
    view: fields.has("map") && [zoom, lat, lon].every(Number.isFinite) ? { zoom, lat, lon } : null,
    level: /^\d+$/.test(fields.get("level") ?? "") ? Number(fields.get("level")) : null,
    id: fields.get("photo"),
    known: fields.get("known") ?? "",
  };
}

/** Put a state into the address, without an entry in the browser's history; no state empties it. */
export function writeLink({ view, level, state }) {
  let hash = "";
  if (state) {
    const known = state.link ? `&known=${encodeURIComponent(state.link)}` : "";
    hash = `#map=${view.zoom.toFixed(2)}/${view.lat.toFixed(6)}/${view.lon.toFixed(6)}&level=${level}&photo=${encodeURIComponent(state.id)}${known}`;
  }
  history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
}
