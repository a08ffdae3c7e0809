"""Districts: neighbourhoods of a few blocks that differ in streets, houses, colours and trees, however large the town is.

Everything here has a size in metres or a number per area, so a large town is not a small one spread out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from justzoomin.city.arrays import Array
from justzoomin.city.houses import BRICK, FACADES, FLATS, PLASTER, ROOFS, SIDING, muted
from justzoomin.city.solids import Rgb
from justzoomin.city.streets import CANAL, LANE, STRIP_M, Block, Course
from justzoomin.city.style import Style

DISTRICT_M = 220.0
"""Side of a square with one district on average."""
CANAL_M = 650.0
"""Side of a square with one canal on average."""
_LEAST_M = 40.0  # the shortest street

CHARACTERS: dict[str, tuple[float, dict[str, float]]] = {  # share of the districts, kinds of their blocks
    "centre": (0.14, {"downtown": 0.78, "rows": 0.22}),
    "old town": (0.22, {"rows": 0.86, "downtown": 0.08, "estate": 0.06}),
    "villas": (0.20, {"suburb": 0.95, "rows": 0.05}),
    "garden town": (0.16, {"suburb": 0.55, "rows": 0.3, "estate": 0.15}),
    "flats": (0.14, {"estate": 0.75, "rows": 0.1, "suburb": 0.15}),
    "works": (0.07, {"hall": 0.6, "parking": 0.12, "rows": 0.16, "estate": 0.12}),
    "mixed": (0.07, {"downtown": 0.2, "rows": 0.3, "suburb": 0.25, "estate": 0.25}),
}
SPECIAL_M2: dict[str, float] = {  # square metres of town for one block of a kind
    "square": 110_000.0, "park": 75_000.0, "parking": 120_000.0, "hall": 200_000.0, "sports": 240_000.0,
    "allotments": 300_000.0, "grove": 300_000.0}
_JOINED = {"centre": 0.08, "old town": 0.15, "villas": 0.12, "garden town": 0.2, "flats": 0.45, "works": 0.5, "mixed": 0.25}
_SPECIES = ("round", "round", "tall", "conifer", "copper", "blossom")


@dataclass(frozen=True)
class District:
    """A neighbourhood.

    Attributes:
        middle: Its middle (2,), metres.
        character: A key of `CHARACTERS`.
        style: How it is built; its blocks vary around it.
        turn: How far its streets are turned, radians.
        stretch: How much farther apart they are.
        reach_m: How far from the middle this is felt.
        lanes: Share of its side streets that carry people only.
        parking: Share of side streets with parking on a side.
        side_m: Width of a lane pair of its side streets.
        walk_m: Width of their pavements.
    """

    middle: Array
    character: str
    style: Style
    turn: float
    stretch: float
    reach_m: float
    lanes: float
    parking: float
    side_m: float
    walk_m: float


class Districts:
    """All districts of a town.

    Args:
        seed: Number of the town.
        half_m: Half the side of its built ground.
    """

    def __init__(self, seed: int, half_m: float) -> None:
        self.rng = np.random.default_rng([seed, 21])
        self.half_m = half_m
        rng, side = self.rng, DISTRICT_M
        count = int(np.ceil(2 * half_m / side)) + 1
        start = -count * side / 2 + rng.uniform(-side / 2, side / 2, 2)
        names, shares = list(CHARACTERS), [share for share, _ in CHARACTERS.values()]
        self.all: list[District] = []
        for row in range(-1, count + 1):
            for col in range(-1, count + 1):
                middle = start + side * (np.array([col + 0.5, row + 0.5]) + rng.uniform(-0.36, 0.36, 2))
                self.all.append(_district(rng, middle, str(rng.choice(names, p=shares))))
        self._middles = np.array([district.middle for district in self.all])
        self._ripple = rng.uniform(0.0, 2 * np.pi, 4)

    def number_at(self, points: Array) -> Array:
        """Return the numbers (n,) of the districts at points (n, 2); borders between them meander."""
        points = np.asarray(points, np.float64)
        r = self._ripple
        moved = points + 22.0 * np.stack([np.sin(points[:, 1] / 41.0 + r[0]) + np.sin(points[:, 1] / 97.0 + r[1]),
                                          np.sin(points[:, 0] / 47.0 + r[2]) + np.sin(points[:, 0] / 89.0 + r[3])], axis=1) / 2
        return np.asarray(((moved[:, None] - self._middles) ** 2).sum(axis=2).argmin(axis=1))

    def at(self, point: Array) -> District:
        """Return the district at a point (2,)."""
        return self.all[int(self.number_at(np.asarray(point)[None])[0])]

    def kinds(self, blocks: tuple[Block, ...]) -> list[str]:
        """Return what every block is: by its district, and special blocks in proportion to the area."""
        rng = self.rng
        numbers = self.number_at(np.array([block.centre for block in blocks]))
        found = []
        for number in numbers:
            _, kinds = CHARACTERS[self.all[int(number)].character]
            found.append(str(rng.choice(list(kinds), p=list(kinds.values()))))
        left = [i for i, block in enumerate(blocks) if np.abs(block.centre).max() < self.half_m]
        for kind, area in SPECIAL_M2.items():
            wanted = (2 * self.half_m) ** 2 / area
            count = int(wanted) + int(rng.random() < wanted % 1.0)
            taken: list[Array] = []
            for _ in range(min(count, len(left))):
                tried = [left[k] for k in rng.choice(len(left), min(6, len(left)), replace=False)]
                apart = [min((float(np.hypot(*(blocks[i].centre - p))) for p in taken), default=0.0) for i in tried]
                chosen = tried[int(np.argmax(apart))]
                left.remove(chosen)
                taken.append(blocks[chosen].centre)
                found[chosen] = kind
        return found

    def styles(self, points: Array) -> list[Style]:
        """Return the styles of blocks or streets whose middles are points (n, 2)."""
        return [_varied(self.rng, self.all[int(number)].style) for number in self.number_at(points)]


def _mixed(rng: np.random.Generator, colours: tuple[Rgb, ...], spread: float) -> Rgb:
    """Return a colour between two of a list, a little lighter or darker."""
    a, b = (np.array(colours[k]) for k in rng.choice(len(colours), 2, replace=False))
    r, g, bl = np.clip(a + (b - a) * rng.beta(0.6, 0.6) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3), 20, 248)
    return float(r), float(g), float(bl)


def _shift(rng: np.random.Generator, light: float, hue: float) -> Rgb:
    r, g, b = rng.normal(0, light) + rng.normal(0, hue, 3)
    return float(r), float(g), float(b)


def _spread(rng: np.random.Generator, share: float) -> float:
    """Return a factor about 1."""
    return float(np.exp(np.clip(rng.normal(0, share), -2.2 * share, 2.2 * share)))


def _district(rng: np.random.Generator, middle: Array, character: str) -> District:
    style = Style(
        width=_spread(rng, 0.15), depth=_spread(rng, 0.1), gap=_spread(rng, 0.4), setback=_spread(rng, 0.3),
        floors=int(rng.choice([-1, 0, 0, 0, 1])), pitch=_spread(rng, 0.2),
        roof=str(rng.choice(["gable", "hip", "cross"])) if rng.random() < 0.7 else None,
        facade=int(rng.choice([PLASTER, BRICK, SIDING])) if rng.random() < 0.7 else None,
        facades=tuple(_mixed(rng, FACADES, 8.0) for _ in range(int(rng.integers(2, 6)))),
        roofs=tuple(muted(_mixed(rng, ROOFS, 7.0)) for _ in range(int(rng.integers(1, 4)))),
        flats=tuple(_mixed(rng, FLATS, 8.0) for _ in range(int(rng.integers(1, 4)))),
        ground=_shift(rng, 9.0, 3.0), lawn=_shift(rng, 6.0, 4.0), leaf=_shift(rng, 5.0, 6.0), trees=_spread(rng, 0.55),
        species=str(rng.choice(_SPECIES)) if rng.random() < 0.5 else None, hedges=float(rng.uniform(0.2, 1.8)),
        clutter=_spread(rng, 0.4), asphalt=float(rng.normal(0, 8)), slab=_shift(rng, 7.0, 6.0),
        front=float(rng.uniform(1.6, 5.0)) if rng.random() < 0.35 else 0.0, verge=bool(rng.random() < 0.3),
        cycle=bool(rng.random() < 0.3), pace=_spread(rng, 0.2), lined=float(rng.uniform(-0.3, 0.4)),
        parked=float(rng.uniform(0.35, 0.9)))
    return District(middle, character, style, turn=float(rng.uniform(-0.4, 0.4)), stretch=float(rng.uniform(-0.22, 0.22)),
                    reach_m=float(rng.uniform(70.0, 130.0)), lanes=float(rng.uniform(0.02, 0.26)),
                    parking=float(rng.uniform(0.1, 0.9)), side_m=float(rng.uniform(5.2, 7.2)),
                    walk_m=float(rng.uniform(1.5, 2.9)))


def _varied(rng: np.random.Generator, style: Style) -> Style:
    """Return the style of one block or street of a district."""
    def added(colour: Rgb, light: float, hue: float) -> Rgb:
        r, g, b = (c + s for c, s in zip(colour, _shift(rng, light, hue), strict=True))
        return r, g, b

    def some(colours: tuple[Rgb, ...], own: tuple[Rgb, ...], spread: float) -> tuple[Rgb, ...]:
        kept = [added(colours[k], spread, spread / 3) for k in rng.permutation(len(colours))[:int(rng.integers(1, 4))]]
        return tuple(kept) if rng.random() < 0.35 else (*kept, _mixed(rng, own, 8.0))

    return replace(
        style, width=style.width * _spread(rng, 0.1), depth=style.depth * _spread(rng, 0.08), gap=style.gap * _spread(rng, 0.3),
        setback=style.setback * _spread(rng, 0.2), floors=style.floors + int(rng.choice([-1, 0, 0, 0, 1])),
        pitch=style.pitch * _spread(rng, 0.1), facades=some(style.facades, FACADES, 7.0),
        roofs=some(style.roofs, tuple(muted(c) for c in ROOFS), 7.0), flats=some(style.flats, FLATS, 7.0),
        ground=added(style.ground, 8.0, 2.5), lawn=added(style.lawn, 6.0, 3.0), leaf=added(style.leaf, 4.0, 4.0),
        front=style.front * _spread(rng, 0.25), verge=style.verge if rng.random() < 0.9 else not style.verge,
        trees=style.trees * _spread(rng, 0.55), species=style.species if rng.random() < 0.6 else str(rng.choice(_SPECIES)),
        clutter=style.clutter * _spread(rng, 0.4), asphalt=style.asphalt + float(rng.normal(0, 3)))


class DistrictLayout:
    """The streets of a town with districts: turned and spaced differently, wide blocks here and there, canals that end."""

    def __init__(self, rng: np.random.Generator, districts: Districts) -> None:
        self.rng, self.districts = rng, districts
        xs, ys = _spaced(rng, districts.half_m), _spaced(rng, districts.half_m)
        self.grid: Array = _warped(rng, np.stack(np.meshgrid(xs, ys), axis=-1), districts)
        self._main = [_mains(rng, len(ys)), _mains(rng, len(xs))]
        self._canals = _canals(rng, xs, ys, districts.half_m)
        ny, nx = self.grid.shape[:2]
        middles = [(self.grid[:, :-1] + self.grid[:, 1:]) / 2, (self.grid[:-1] + self.grid[1:]) / 2]
        self._numbers = [districts.number_at(m.reshape(-1, 2)).reshape(m.shape[:2]) for m in middles]
        self._left_out = self._joined(ny, nx)

    def _joined(self, ny: int, nx: int) -> set[tuple[int, int, int]]:
        """Choose streets to leave out, so that two blocks become one: at most one street at a crossing and at a block."""
        wet = {row for row, _, _ in self._canals}
        nodes: set[tuple[int, int]] = set()
        cells: set[tuple[int, int]] = set()
        out = set()
        candidates = [(0, row, col) for row in range(1, ny - 1) for col in range(nx - 1)]
        candidates += [(1, row, col) for row in range(ny - 1) for col in range(1, nx - 1)]
        for k in self.rng.permutation(len(candidates)):
            axis, row, col = candidates[int(k)]
            share = _JOINED[self.districts.all[int(self._numbers[axis][row, col])].character] * 0.5
            ends = {(row, col), (row, col + 1) if axis == 0 else (row + 1, col)}
            beside = {(row, col), (row - 1, col) if axis == 0 else (row, col - 1)}
            line = row if axis == 0 else col
            if (self.rng.random() >= share or line in self._main[axis] or ends & nodes or beside & cells
                    or any(node[0] in wet for node in ends)):
                continue
            nodes |= ends
            cells |= beside
            out.add((axis, row, col))
        return out

    def line(self, axis: int, line: int) -> None:
        """Choose the width of a line of main streets."""
        rng = self.rng
        self._style = (float(rng.uniform(9.0, 10.5)), float(rng.uniform(2.8, 3.6)), (False, False))
        self._is_main = line in self._main[axis]

    def course(self, axis: int, row: int, col: int) -> Course | None:
        """Return the street that begins at a crossing; None if it is left out."""
        rng = self.rng
        if (axis, row, col) in self._left_out:
            return None
        if axis == 0 and any(line == row and west <= col < east for line, west, east in self._canals):
            return "canal", *CANAL
        if self._is_main:
            return "main", *self._style
        district = self.districts.all[int(self._numbers[axis][row, col])]
        wet = axis == 1 and any(row in (line - 1, line) for line, _, _ in self._canals)
        if rng.random() < district.lanes and not wet:
            return LANE
        park = (bool(rng.random() < district.parking), bool(rng.random() < district.parking))
        width = district.side_m + float(rng.uniform(-0.4, 0.4)) + STRIP_M * sum(park)
        return "side", width, district.walk_m + float(rng.uniform(-0.3, 0.3)), park


def _spaced(rng: np.random.Generator, half_m: float) -> Array:
    """Return the places of lines: a few are evenly spaced, then the spacing changes."""
    places = [-half_m - rng.uniform(0.0, 30.0)]
    while places[-1] < half_m:
        pace = rng.uniform(60.0, 92.0)
        for _ in range(int(rng.integers(2, 5))):
            places.append(places[-1] + pace * rng.uniform(0.9, 1.1))
    return np.array(places[:next(k for k, p in enumerate(places) if p >= half_m) + 1])


def _mains(rng: np.random.Generator, lines: int) -> frozenset[int]:
    found, line = set(), int(rng.integers(0, 4))
    while line < lines:
        found.add(line)
        line += int(rng.choice([2, 3, 3, 4, 5]))
    return frozenset(found)


def _canals(rng: np.random.Generator, xs: Array, ys: Array, half_m: float) -> list[tuple[int, int, int]]:
    """Return canals as (row, first column, end column); their length grows with the area."""
    wanted = (2 * half_m / CANAL_M) ** 2 * CANAL_M
    found: list[tuple[int, int, int]] = []
    for _ in range(40):
        if wanted <= 0:
            break
        length = float(rng.uniform(350.0, 900.0))
        row = int(rng.integers(1, len(ys) - 1))
        west = int(np.abs(xs - rng.uniform(-half_m - length / 2, half_m - length / 2)).argmin())
        east = int(np.abs(xs - xs[west] - length).argmin())
        if east - west < 2 or any(abs(row - line) < 3 and west <= b + 1 and a <= east + 1 for line, a, b in found):
            continue
        found.append((row, west, east))
        wanted -= xs[east] - xs[west]
    return found


def _warped(rng: np.random.Generator, grid: Array, districts: Districts) -> Array:
    """Turn and stretch a grid (rows, columns, 2) about the middles of the districts, and straighten what became too tight."""
    out = np.array(grid, np.float64)
    for district in districts.all:
        away = grid - district.middle
        felt = np.exp(-(away**2).sum(axis=-1) / (2 * district.reach_m**2))
        angle = district.turn * felt
        c, s = np.cos(angle), np.sin(angle)
        turned = np.stack([c * away[..., 0] - s * away[..., 1], s * away[..., 0] + c * away[..., 1]], axis=-1)
        out += turned * (1 + district.stretch * felt)[..., None] - away
    out += rng.uniform(-6.0, 6.0, out.shape)
    for _ in range(30):
        tight = _tight(out)
        if not tight.any():
            break
        share = np.where(tight, 0.3, 0.0)[..., None]
        padded = np.pad(out, ((1, 1), (1, 1), (0, 0)), mode="reflect", reflect_type="odd")
        mean = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
        out = out + share * (mean - out)
    return out


def _tight(grid: Array) -> Array:
    """Return whether a street at a crossing (rows, columns) is too short, or meets another at less than about 50 degrees."""
    tight = np.zeros(grid.shape[:2], bool)
    a, b = grid[:-1, :-1], grid[:-1, 1:]
    c, d = grid[1:, 1:], grid[1:, :-1]
    corners = (a, b, c, d)
    bad = np.zeros(a.shape[:2], bool)
    for k in range(4):
        onward, back = corners[(k + 1) % 4] - corners[k], corners[k - 1] - corners[k]
        lengths = np.hypot(onward[..., 0], onward[..., 1]), np.hypot(back[..., 0], back[..., 1])
        cross = onward[..., 0] * back[..., 1] - onward[..., 1] * back[..., 0]
        bad |= (lengths[0] < _LEAST_M) | (cross < 0.76 * lengths[0] * lengths[1])
    for rows, cols in ((slice(None, -1), slice(None, -1)), (slice(None, -1), slice(1, None)),
                       (slice(1, None), slice(None, -1)), (slice(1, None), slice(1, None))):
        tight[rows, cols] |= bad
    return tight
