// The zoom grid in the browser: which cell a position is in, and where a cell's corners are.
// As in the package: metres east along the great circle with bearing 90 from the region's middle, then along the meridian.

const EARTH_RADIUS_M = 6378137;
const RAD = Math.PI / 180;

export class Grid {
  /** `facts` is `grid` of /v1/map: the middle's lat and lon, size_m, grid, depth. */
  constructor(facts) {
    Object.assign(this, facts);
  }

  cellSize(level) {
    return this.size_m / this.grid ** level;
  }

  /** Return the cell of a level that holds a position, or null outside the region. */
  cellAt(lat, lon, level) {
    const [east, north] = this.toLocal(lat, lon);
    const size = this.cellSize(level);
    const side = this.grid ** level;
    const col = Math.floor((east + this.size_m / 2) / size);
    const row = Math.floor((this.size_m / 2 - north) / size);
    return row < 0 || col < 0 || row >= side || col >= side ? null : this.cell(sequenceOf(row, col, level, this.grid));
  }

  /** Return a cell: sequence, level, size, middle, ring of [lon, lat], bounds (west, south, east, north). */
  cell(sequence) {
    const level = sequence.length;
    const size = this.cellSize(level);
    let [row, col] = [0, 0];
    for (const action of sequence) {
      row = row * this.grid + Math.floor(action / this.grid);
      col = col * this.grid + action % this.grid;
    }
    const west = col * size - this.size_m / 2;
    const north = this.size_m / 2 - row * size;
    const corners = [[west, north], [west + size, north], [west + size, north - size], [west, north - size]];
    const ring = [...corners, corners[0]].map(([x, y]) => this.fromLocal(x, y).reverse());
    const [lat, lon] = this.fromLocal(west + size / 2, north - size / 2);
    const [lons, lats] = [ring.map((p) => p[0]), ring.map((p) => p[1])];
    return { sequence, level, size, lat, lon, ring,
             bounds: [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)] };
  }

  /** Return metres [east, north] of the region's middle. */
  toLocal(lat, lon) {
    const angle = Math.atan(Math.tan((lon - this.lon) * RAD) * Math.cos(this.lat * RAD));
    const foot = Math.asin(Math.sin(this.lat * RAD) * Math.cos(angle));
    return [EARTH_RADIUS_M * angle, EARTH_RADIUS_M * (lat * RAD - foot)];
  }

  /** Return [lat, lon] of metres east and north of the region's middle. */
  fromLocal(east, north) {
    const angle = east / EARTH_RADIUS_M;
    const foot = Math.asin(Math.sin(this.lat * RAD) * Math.cos(angle));
    const lon = Math.atan2(Math.sin(angle), Math.cos(this.lat * RAD) * Math.cos(angle));
    return [foot / RAD + north / EARTH_RADIUS_M / RAD, this.lon + lon / RAD];
  }
}

/** Return the distance of two positions in metres. */
export function distance(lat, lon, lat2, lon2) {
  const a = Math.sin((lat2 - lat) * RAD / 2) ** 2
    + Math.cos(lat * RAD) * Math.cos(lat2 * RAD) * Math.sin((lon2 - lon) * RAD / 2) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(Math.min(1, a)));
}

/** Return bounds (west, south, east, north) of a square around a position. */
export function around(lat, lon, half) {
  const [up, out] = [half / EARTH_RADIUS_M / RAD, half / EARTH_RADIUS_M / RAD / Math.cos(lat * RAD)];
  return [lon - out, lat - up, lon + out, lat + up];
}

/** Return the ring of a sector: from a position, along a bearing in degrees, as wide as a spread on either side. */
export function sector(lat, lon, bearing, spread, radius) {
  const arc = Array.from({ length: 17 }, (_, k) => (bearing + spread * (k / 8 - 1)) * RAD).map((angle) => [
    lon + radius * Math.sin(angle) / EARTH_RADIUS_M / RAD / Math.cos(lat * RAD), lat + radius * Math.cos(angle) / EARTH_RADIUS_M / RAD]);
  return [[lon, lat], ...arc, [lon, lat]];
}

/** Return the bounds that hold all of some bounds. */
export function union(...all) {
  return [Math.min(...all.map((b) => b[0])), Math.min(...all.map((b) => b[1])),
          Math.max(...all.map((b) => b[2])), Math.max(...all.map((b) => b[3]))];
}

function sequenceOf(row, col, level, grid) {
  const sequence = [];
  for (let k = 0; k < level; k += 1) {
    sequence.unshift((row % grid) * grid + col % grid);
    row = Math.floor(row / grid);
    col = Math.floor(col / grid);
  }
  return sequence;
}
