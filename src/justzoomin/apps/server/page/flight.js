// The flight: level by level to the answer, with the probabilities of each level over the map.

import { around, union } from "./geo.js";

const STAY_MS = 750;
const FLY_MS = 1100;
const LIKELY = 0.04;

/** Fly through the levels of a session's state. `onLevel` shows a level; the promise ends early when `signal` is aborted. */
export async function fly(map, state, onLevel, signal) {
  let bounds = map.info.bounds;
  await map.fit(bounds, 500);
  for (const level of state.levels) {
    if (signal.aborted) return;
    onLevel(level.level);
    await pause(STAY_MS, signal);
    if (signal.aborted) return;
    bounds = level.level === state.levels.length ? answerBounds(state, map.info.bounds) : level.bounds;
    await Promise.race([map.fit(bounds, FLY_MS), aborted(signal)]);
    await pause(150, signal);
  }
}

/** Return the bounds in a region that show the answer: what holds nine tenths, or if that is wide, the likely places. */
export function answerBounds(state, region) {
  const { lat, lon, radius_90_m: radius, cell_size_m: cell } = state.fix;
  const near = around(lat, lon, Math.max(8 * cell, Math.min(1.4 * (radius ?? 0), 25 * cell)));
  if ((radius ?? 0) < 25 * cell) return near;
  const likely = state.top.filter((place) => place.probability >= LIKELY).map((place) => around(place.lat, place.lon, 5 * cell));
  const [west, south, east, north] = union(near, ...likely);
  return [Math.max(west, region[0]), Math.max(south, region[1]), Math.min(east, region[2]), Math.min(north, region[3])];
}

function pause(milliseconds, signal) {
  return Promise.race([new Promise((resolve) => { setTimeout(resolve, milliseconds); }), aborted(signal)]);
}

function aborted(signal) {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", resolve, { once: true });
  });
}
