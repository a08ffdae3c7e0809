// Numbers as words that people read.

const WINDS = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"];

export function metres(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "an unknown distance";
  if (value >= 9950) return `${Math.round(value / 1000)} km`;
  if (value >= 995) return `${(value / 1000).toFixed(1)} km`;
  if (value >= 9.95) return `${Math.round(value)} m`;
  return `${Number(value.toFixed(1))} m`;
}

export function area(value) {
  return value >= 1e6 ? `${Number((value / 1e6).toPrecision(3))} km²` : `${Number(value.toPrecision(3)).toLocaleString("en")} m²`;
}

export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 1) return "< 1 %";
  if (value > 99 && value < 100) return "> 99 %";
  return `${Math.round(value)} %`;
}

export function position(lat, lon, digits = 6) {
  return `${lat.toFixed(digits)}, ${lon.toFixed(digits)}`;
}

export function wind(degrees) {
  return WINDS[Math.round(degrees / 45) % 8];
}

export function bytes(count) {
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} MB` : `${Math.max(1, Math.round(count / 1e3))} kB`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Return how sure an answer is: a headline, a tone for its colour, a sentence, and the share within a distance alone. */
export function sureness(fix) {
  if (fix.on_map === false) {
    return { tone: "doubt", headline: "Probably not on this map", share: "",
             text: "The photo does not look like one that was taken here. The best place is shown, but do not rely on it." };
  }
  const share = nearby(fix);
  if (share === null) return { tone: "maybe", headline: "Best guess", share: "", text: "This search says nothing about other places." };
  const where = `${percent(share.probability)} within ${metres(share.radius)}`;
  if (fix.not_calibrated) return { tone: "maybe", headline: "Best guess", share: where, text: `The model says ${where}; that is not calibrated here.` };
  // Where nothing tells photos of elsewhere, every share holds only for photos that were taken here.
  const known = fix.on_map === true;
  const here = known ? "here" : "here, if on this map", tone = known ? "sure" : "maybe";
  if (share.probability >= 0.9) return { tone, headline: `Very likely ${here}`, share: where, text: `${where}.` };
  if (share.probability >= 0.6) return { tone, headline: `Probably ${here}`, share: where, text: `${where}.` };
  if (share.probability >= 0.3) return { tone: "maybe", headline: `Perhaps ${here}`, share: where, text: `${where}. Look at the other places, too.` };
  return { tone: "doubt", headline: "Hard to tell", share: where, text: `Only ${where}. Say what you know, below.` };
}

/** Return why the probabilities can be trusted, or not. */
export function trust(fix) {
  const shares = fix.not_calibrated
    ? `Not calibrated: ${fix.not_calibrated}. Read the percentages as a ranking, not as odds.`
    : "Calibrated: on test photos, such percentages came true.";
  return fix.on_map === null || fix.on_map === undefined
    ? `${shares} Nothing here tells photos that were taken elsewhere: they get a place, too.` : shares;
}

function nearby(fix) {
  const radius = /^within:([\d.]+)$/.exec(fix.decision ?? "")?.[1];
  if (radius && fix.expected !== null) return { probability: fix.expected, radius: Number(radius) };
  if (fix.radius_90_m) return { probability: 0.9, radius: fix.radius_90_m };
  return null;
}

/** Return a correction in words. */
export function correction(c) {
  const side = c.here ? "It is" : "It is not";
  if (c.kind === "cell") return `${side} in this cell${c.size ? ` of ${metres(c.size)}` : ""}`;
  if (c.kind === "circle") return `${side} within ${metres(c.radius_m)} of a point`;
  if (c.kind === "polygon") return `${side} in the drawn area`;
  if (c.kind === "heading") return `The photo faces ${Math.round(c.deg)}° (${wind(c.deg)}), give or take ${Math.round(c.sigma_deg ?? 20)}°`;
  if (c.kind === "camera") return `The field of view is ${Math.round(c.fov_deg)}°`;
  return c.kind;
}
