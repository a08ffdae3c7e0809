"""Houses, towers, churches: walls with window patterns under gable, hip, flat and pointed roofs."""

from __future__ import annotations

import numpy as np

from justzoomin.city.arrays import Array
from justzoomin.city.solids import FLAT, FRONT, PLAIN, ROOF, WALL, Frame, MeshBuilder, Rgb, box, prism, rectangle
from justzoomin.city.style import PLAIN as PLAIN_STYLE
from justzoomin.city.style import Style

# facade styles
PLASTER, BRICK, SIDING, RIBBON, CURTAIN, CHURCH = range(6)

FACADES: tuple[Rgb, ...] = (
    (226, 206, 166), (206, 122, 92), (238, 226, 202), (186, 84, 66), (164, 180, 170), (112, 136, 166), (232, 190, 116),
    (206, 160, 152), (244, 240, 230), (150, 76, 62), (104, 122, 100), (214, 170, 98), (176, 200, 212), (134, 116, 104),
    (200, 198, 190), (90, 110, 130), (170, 130, 90), (222, 150, 120), (120, 60, 56), (190, 206, 160))
ROOFS: tuple[Rgb, ...] = (
    (168, 78, 54), (142, 62, 48), (190, 104, 72), (76, 82, 92), (98, 98, 104), (112, 84, 68), (104, 150, 132),
    (124, 48, 46), (150, 120, 96), (62, 66, 74), (176, 92, 84))
FLATS: tuple[Rgb, ...] = (
    (150, 148, 142), (190, 188, 180), (112, 108, 104), (208, 204, 194), (118, 134, 104), (92, 92, 98), (168, 150, 130))


def _pick(rng: np.random.Generator, colours: tuple[Rgb, ...], spread: float = 14.0) -> Rgb:
    base = np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, spread / 2) + rng.normal(0, spread / 3, 3)
    r, g, b = np.clip(base, 18, 250)
    return float(r), float(g), float(b)


def muted(colour: Rgb) -> Rgb:
    """Return a colour with less saturation."""
    grey = sum(colour) / 3
    r, g, b = (0.8 * c + 0.2 * grey for c in colour)
    return r, g, b


class Palette:
    """The colours of a neighbourhood, a few facades and roofs shared by its houses, and its style."""

    def __init__(self, rng: np.random.Generator, style: Style = PLAIN_STYLE) -> None:
        self.style = style
        self.facades = style.facades or tuple(FACADES[i] for i in rng.choice(len(FACADES), 6, replace=False))
        self.roofs = style.roofs or tuple(muted(ROOFS[i]) for i in rng.choice(len(ROOFS), 3, replace=False))
        self.flats = style.flats or tuple(FLATS[i] for i in rng.choice(len(FLATS), 3, replace=False))


def _roof(mesh: MeshBuilder, frame: Frame, w: float, d: float, z: float, rise: float, kind: str, part: int,
          wall: int) -> None:
    """Add the roof of a rectangle: 'gable' (ridge along x), 'cross' (ridge along y), 'hip' or 'point'."""
    o = 0.35
    if kind == "cross":
        _roof(mesh, frame.at(0.0, 0.0, 90.0), d, w, z, rise, "gable", part, wall)
        return
    if kind == "point":
        base = np.hstack([rectangle(w + 2 * o, d + 2 * o), np.full((4, 1), z - 0.1)])
        tip = np.broadcast_to(np.array([0.0, 0.0, z + rise]), (4, 3))
        mesh.quads(frame.place(np.stack([base, np.roll(base, -1, 0), tip, tip], axis=1)), ROOF, part)
        return
    ridge = w / 2 - (min(d / 2, w / 2 - 0.5) * 0.9 if kind == "hip" else 0.0)
    low = z - o * rise / (d / 2)
    ex = o if kind == "hip" else 0.25
    end = ridge if kind == "hip" else ridge + ex
    e = w / 2 + ex
    y = d / 2 + o
    a, b, c, dd = (-e, -y, low), (e, -y, low), (e, y, low), (-e, y, low)
    left, right = (-end, 0.0, z + rise), (end, 0.0, z + rise)
    mesh.quads(frame.place(np.array([[a, b, right, left], [c, dd, left, right]])), ROOF, part)
    if kind == "hip":
        mesh.quads(frame.place(np.array([[b, c, right, right], [dd, a, left, left]])), ROOF, part)
    else:
        g, top = w / 2, (0.0, z + rise - 0.05)
        mesh.quads(frame.place(np.array([[(g, -d / 2, z), (g, d / 2, z), (g, *top), (g, *top)],
                                         [(-g, d / 2, z), (-g, -d / 2, z), (-g, *top), (-g, *top)]])), WALL, wall)


def _flat_roof(mesh: MeshBuilder, frame: Frame, w: float, d: float, z: float, part: int, trim: int,
               rng: np.random.Generator) -> None:
    base = np.hstack([rectangle(w, d), np.full((4, 1), z - 0.5)])
    mesh.quads(frame.place(base[None]), FLAT, part)
    p = 0.4
    for x, y, ww, dd in ((0, -d / 2 + p / 2, w, p), (0, d / 2 - p / 2, w, p), (-w / 2 + p / 2, 0, p, d - 2 * p),
                         (w / 2 - p / 2, 0, p, d - 2 * p)):
        mesh.quads(frame.place(box(x, y, z - 0.5, ww, dd, 0.5)), PLAIN, trim)
    for _ in range(int(rng.integers(1, 4 + int(w * d / 150)))):
        a, b = rng.uniform(1.2, 3.2, 2)
        x, y = rng.uniform(-w / 2 + 2.2, w / 2 - 2.2), rng.uniform(-d / 2 + 2.2, d / 2 - 2.2)
        mesh.quads(frame.place(box(x, y, z - 0.5, a, b, rng.uniform(0.7, 2.0))), PLAIN, trim)


def house(mesh: MeshBuilder, rng: np.random.Generator, frame: Frame, w: float, d: float, district: str,
          palette: Palette) -> list[Array]:
    """Build one house of a district on a frame; return the outlines (4, 2) of its walls."""
    wall = _pick(rng, palette.facades)
    trim = _pick(rng, ((240, 238, 230), (70, 66, 62), (150, 110, 80), (226, 214, 190)), 8)
    door = _pick(rng, ((120, 40, 36), (40, 70, 60), (50, 60, 100), (90, 62, 44), (200, 160, 60), (30, 100, 120)), 20)
    shop, style, kind, floor_h = 0.0, int(rng.choice([PLASTER, PLASTER, BRICK])), "gable", 2.9
    bay, win_w, win_h = float(rng.uniform(1.9, 2.9)), float(rng.uniform(0.21, 0.32)), float(rng.uniform(0.24, 0.33))
    if district == "rows":
        floors = int(rng.integers(2, 5))
        kind = str(rng.choice(["gable", "gable", "cross", "hip"])) if w > 5.5 else "gable"
        rise, shop = float(rng.uniform(0.3, 0.48)) * (w if kind == "cross" else d), float(rng.random() < 0.3)
    elif district == "suburb":
        floors = int(rng.choice([1, 1, 2, 2]))
        kind = str(rng.choice(["gable", "hip", "hip", "cross"]))
        style = int(rng.choice([PLASTER, SIDING, BRICK]))
        rise = float(rng.uniform(0.25, 0.42)) * min(w, d)
    elif district == "downtown":
        floors, floor_h = int(rng.integers(3, 7)), 3.3
        kind, shop = "flat", float(rng.random() < 0.75)
        style = int(rng.choice([PLASTER, BRICK, RIBBON, CURTAIN, PLASTER]))
        bay, rise = float(rng.uniform(2.2, 3.6)), 0.0
        if rng.random() < 0.2:
            kind, rise = "hip", 3.0
    elif district == "tower":
        floors, floor_h, kind, shop, rise = int(rng.integers(9, 15)), 3.2, "flat", 1.0, 0.0
        style, bay = int(rng.choice([RIBBON, CURTAIN, PLASTER])), float(rng.uniform(2.0, 3.4))
    elif district == "estate":
        floors, kind, rise, style = int(rng.integers(3, 6)), "flat", 0.0, int(rng.choice([PLASTER, RIBBON, SIDING]))
        bay = float(rng.uniform(2.4, 3.3))
    elif district == "hall":
        floors, floor_h, kind, rise = int(rng.integers(1, 3)), 4.2, "flat", 0.0
        style, bay, shop = int(rng.choice([SIDING, RIBBON, BRICK])), float(rng.uniform(3.0, 5.0)), float(rng.random() < 0.6)
    else:  # shed
        floors, floor_h, rise, bay = 1, 2.3, 0.8, 3.0
    own = palette.style
    if district in ("rows", "suburb", "downtown", "estate"):
        floors = max(1, floors + own.floors)
        rise *= own.pitch
        if own.facade is not None and rng.random() < 0.7:
            style = own.facade
    if own.roof and kind != "flat" and district in ("rows", "suburb") and rng.random() < 0.75:
        kind = own.roof
    base = 0.35 if not shop else 0.0
    eave = base + floors * floor_h + (0.7 if shop else 0.15)
    roof = _pick(rng, palette.roofs if kind != "flat" else palette.flats, 16)
    values = {"floor_h": floor_h, "win_w": win_w, "win_h": win_h, "base_z": base, "eave_z": eave, "shop": shop,
              "style": float(style), "hash": float(rng.integers(1024)), "bay_m": bay}
    part = mesh.part(wall, trim, door, **values)
    roof_part = mesh.part(roof, wall, trim, hash=float(rng.integers(1024)), eave_z=eave)
    trim_part = mesh.part(trim)
    outline = rectangle(w, d)
    top = eave + (0.5 if kind == "flat" else 0.0)
    walls = prism(outline, 0.0, top)
    mesh.quads(frame.place(walls[:1]), FRONT, part)
    mesh.quads(frame.place(walls[1:]), WALL, part)
    if kind == "flat":
        _flat_roof(mesh, frame, w, d, top, roof_part, trim_part, rng)
    else:
        _roof(mesh, frame, w, d, eave, rise, kind, roof_part, part)
        if district != "shed" and rng.random() < 0.8:
            x, y = rng.uniform(-w / 3, w / 3), rng.choice([-1.0, 1.0]) * d * 0.14
            chimney = mesh.part(_pick(rng, ((140, 80, 64), (200, 190, 180), (90, 84, 80))))
            mesh.quads(frame.place(box(x, y, eave + rise * 0.35, 0.7, 0.7, rise * 0.75 + 0.5)), PLAIN, chimney)
        if district in ("rows", "suburb") and kind in ("gable", "hip") and rise > 2.4 and rng.random() < 0.5:
            _dormers(mesh, rng, frame, w, d, eave, rise, part, roof_part)
    if shop and rng.random() < 0.6:
        awning = mesh.part(_pick(rng, ((190, 50, 45), (40, 90, 70), (230, 200, 120), (50, 70, 130), (235, 235, 230)), 20))
        y, a = -d / 2, w * 0.42
        mesh.quads(frame.place(np.array([[(-a, y - 1.2, 2.5), (a, y - 1.2, 2.5), (a, y, 3.05), (-a, y, 3.05)]])), PLAIN, awning)
    if district in ("estate", "downtown") and style in (PLASTER, SIDING) and rng.random() < 0.55:
        bays = max(1, round(w / bay))
        for i in range(int(rng.integers(0, 2)), bays, 2):
            for floor in range(1, floors):
                x = -w / 2 + (i + 0.5) * w / bays
                z = base + (0.7 if shop else 0.0) + floor * floor_h - 0.05
                mesh.quads(frame.place(box(x, -d / 2 - 0.55, z, bay * 0.8, 1.1, 0.95)), PLAIN, trim_part)
    return [frame.flat(outline)]


def _dormers(mesh: MeshBuilder, rng: np.random.Generator, frame: Frame, w: float, d: float, eave: float, rise: float,
             part: int, roof_part: int) -> None:
    count = max(1, int(w / 4.5))
    z = eave + rise * 0.22
    y = -d / 2 * (1 - 0.22) + 0.1
    depth = d / 2 * 0.5
    window = mesh.part((236, 234, 226), (236, 234, 226), (60, 70, 80), floor_h=1.6, win_w=0.33, win_h=0.33, base_z=z,
                       eave_z=z + 2.0, bay_m=1.7, hash=float(rng.integers(1024)))
    for i in range(count):
        x = -w / 2 + (i + 0.5) * w / count
        walls = prism(rectangle(1.6, depth, x, y + depth / 2), z, z + 1.5)
        mesh.quads(frame.place(walls), WALL, window)
        _roof(mesh, frame.at(x, y + depth / 2), 1.6, depth, z + 1.5, 0.6, "cross", roof_part, window)


def church(mesh: MeshBuilder, rng: np.random.Generator, frame: Frame) -> list[Array]:
    """Build a church: nave with a steep roof and a tower with a spire; return the outlines of its walls."""
    stone = _pick(rng, ((196, 184, 164), (170, 96, 78), (228, 222, 210), (150, 146, 140)))
    roof = _pick(rng, ((80, 88, 98), (104, 152, 134), (128, 56, 48)))
    part = mesh.part(stone, (222, 214, 200), (70, 44, 34), floor_h=7.0, win_w=0.2, win_h=0.34, base_z=1.0, eave_z=8.6,
                     style=float(CHURCH), bay_m=3.6, hash=3.0)
    tower = mesh.part(stone, (222, 214, 200), (70, 44, 34), floor_h=7.5, win_w=0.16, win_h=0.3, base_z=0.5, eave_z=24.0,
                      style=float(CHURCH), bay_m=3.0, hash=1.0)
    roof_part = mesh.part(roof, hash=float(rng.integers(1024)))
    nave = rectangle(11.0, 22.0, 0.0, 3.0)
    mesh.quads(frame.place(prism(nave, 0.0, 8.6)), WALL, part)
    _roof(mesh, frame.at(0.0, 3.0), 11.0, 22.0, 8.6, 7.0, "cross", roof_part, part)
    height = float(rng.uniform(19, 25))
    base = rectangle(6.4, 6.4, 0.0, -10.6)
    walls = prism(base, 0.0, height)
    mesh.quads(frame.place(walls[:1]), FRONT, tower)
    mesh.quads(frame.place(walls[1:]), WALL, tower)
    _roof(mesh, frame.at(0.0, -10.6), 6.4, 6.4, height, float(rng.uniform(9, 15)), "point", roof_part, tower)
    return [frame.flat(nave), frame.flat(base)]
