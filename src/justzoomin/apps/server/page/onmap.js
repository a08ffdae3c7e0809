// What of an answer is drawn on the map: pin, 90 % region, heading, other places.

import { get } from "./api.js";
import { distance } from "./geo.js";
import { feature, point } from "./map.js";

export const ANSWER_LAYERS = ["region", "cell", "wedge", "places", "answer", "truth", "hover", "sketch"];
const CELL_PIXELS = 14;                      // a smaller cell can be neither seen nor clicked
const MOST_PLACES = 6;

/** Draw the answer of a state. Places within `near` metres of the pin are left out; `current` says whether the state still counts. */
export async function drawAnswer(map, state, places, near, current) {
  const { lat, lon } = state.fix;
  map.clear("cell", "hover");
  map.mark("answer", [point(lat, lon)]);
  map.mark("places", places.slice(0, MOST_PLACES).filter((place) => distance(place.lat, place.lon, lat, lon) > near)
    .map((place) => point(place.lat, place.lon, { number: place.number })));
  try {
    const { features } = await get(`v1/sessions/${state.id}/region.geojson`);
    if (!current()) return;
    for (const [layer, kind] of [["region", "region_90"], ["wedge", "heading"]]) {
      map.mark(layer, features.filter((one) => one.properties.kind === kind).map((one) => feature(one.geometry)));
    }
  } catch { /* the answer is there without its outline */ }
}

/** Return the finest level whose cells can be told apart when bounds (west, south, east, north) fill a side of some pixels. */
export function clearLevel(grid, [west, south, east, north], pixels) {
  const scale = pixels / Math.max(distance(south, west, south, east), distance(south, west, north, west));
  let level = grid.depth;
  while (level > 1 && grid.cellSize(level) * scale < CELL_PIXELS) level -= 1;
  return level;
}
