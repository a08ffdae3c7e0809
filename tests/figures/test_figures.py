"""Pictures: positions are on their pixels, files have their formats, hostile names are harmless."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image, ImageSequence

from justzoomin.errors import ConfigError, GeometryError, TileError
from justzoomin.figures import (
    Case,
    PathView,
    ViewPictures,
    overview,
    path_panel,
    pixel_of,
    safe_stem,
    save_figure,
    sheet,
    zoom_gif,
)
from justzoomin.figures.case import closeup_window, share_of
from justzoomin.figures.gif import MAX_BYTES, crop, dive, fade_in, within, zoom_frames
from justzoomin.figures.look import TRUE, metres, readable, scale_bar_m
from justzoomin.geometry import LatLon, Region, ZoomGrid, from_local
from justzoomin.maps import GridViews, View
from justzoomin.maps.map import Square

GRID = ZoomGrid(Region(38.9, -77.0, (-320.0, 320.0), (-320.0, 320.0)), grid=4, depth=3)
CREDIT = "Imagery by nobody in particular, licensed under a licence.\nAnd more of it."
HOSTILE = ["../../etc/passwd", "a/b\\c", "$\\frac{1}{0}$", "\x00\n\t", "日本", "CON", "x" * 400, "", ".", "\udcff"]


class FakeMap:
    """A map whose colour encodes the place: red grows to the east, green to the north, blue with the zoom."""

    listed = False

    def __init__(self, finest_m: float = 0.0) -> None:
        self.grid, self.finest_m, self.asked = GRID, finest_m, []

    def view(self, lat: float, lon: float, size_m: float, pixels: int, bearing_deg: float = 0.0) -> View:
        if size_m / pixels < self.finest_m:
            raise TileError("fake", "no tiles so fine", "None.")
        self.asked.append(pixels)
        mid = share_of(GRID.cell(()), lat, lon)
        assert mid is not None
        offset = (np.arange(pixels) - pixels / 2) / pixels * size_m / GRID.region.size_m
        image = np.empty((pixels, pixels, 3), np.uint8)
        image[..., 0] = np.clip((mid[0] + offset[None, :]) * 255, 0, 255)
        image[..., 1] = np.clip((1 - mid[1] - offset[:, None]) * 255, 0, 255)
        image[..., 2] = 90
        return View(image, Square.around(lat, lon, size_m), 0.0, 0)


def make_case(sequence=(5, 10, 3), true=(5, 10, 3), position=None, name="photo 1") -> Case:
    pictures = ViewPictures(GridViews(FakeMap(), GRID, 16), sizes=(48, 32))
    photo = np.random.default_rng(0).integers(0, 255, (36, 64, 3), dtype=np.uint8)
    if true is not None and position is None:
        position = GRID.cell(true).centre
    return Case(name=name, photo=photo, grid=GRID, sequence=sequence, views=pictures.along(sequence),
                probabilities=(0.9, 0.5, 0.25), true_sequence=true, true_position=position,
                true_views=pictures.along(true) if true else (), closeup=pictures.closeup(sequence))


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.499, 0.499), st.floats(-0.499, 0.499), st.integers(0, 3), st.integers(0, 4095), st.integers(8, 512))
def test_positions_land_on_their_pixels(x, y, level, number, pixels):
    sequence = tuple(GRID.unflatten(number % 16**level, level)[0]) if level else ()
    cell = GRID.cell(sequence)
    lat, lon = from_local(*cell.centre, x * cell.size_m, y * cell.size_m)
    col, row = pixel_of(cell, float(lat), float(lon), pixels)
    assert col == pytest.approx((0.5 + x) * pixels, abs=1e-3)
    assert row == pytest.approx((0.5 - y) * pixels, abs=1e-3)
    if level < GRID.depth and max(abs(x), abs(y)) < 0.49:  # and the pixel is in the cell given by the grid
        action = int(row * 4 // pixels) * 4 + int(col * 4 // pixels)
        near_border = min(abs((v * 4 / pixels) % 1 - h) for v in (col, row) for h in (0, 1)) < 0.02
        assert near_border or tuple(GRID.encode(lat, lon)[0][:level + 1]) == (*sequence, action)


def test_positions_outside_a_view_have_no_pixel():
    other = GRID.cell((0, 0)).centre
    assert pixel_of(GRID.cell((15,)), *other, 100) is None


def test_the_colour_under_a_position_is_the_maps_own_there():
    position = LatLon(*map(float, from_local(*GRID.region.centre, 101.0, -57.0)))
    for sequence in [(), *(tuple(GRID.encode(*position)[0][:k]) for k in (1, 2))]:
        image = GridViews(FakeMap(), GRID, 256).get(sequence)
        col, row = pixel_of(GRID.cell(sequence), *position, 256)
        assert image[round(row), round(col), 0] == pytest.approx((0.5 + 101 / 640) * 255, abs=2)
        assert image[round(row), round(col), 1] == pytest.approx((0.5 - 57 / 640) * 255, abs=2)


def test_the_true_position_is_drawn_where_it_belongs():
    position = LatLon(*map(float, from_local(*GRID.cell((5,)).centre, 31.0, 47.0)))
    true = tuple(int(a) for a in GRID.encode(*position)[0])
    figure = path_panel(make_case((5, 0, 0), true, position))
    canvas = drawn(figure)
    square = [a for a in figure.axes if a.images and a.images[0].get_array().shape[0] == a.images[0].get_array().shape[1] and
              a.get_position().width > 0.1]
    found = 0
    for axes, sequence in zip(square, [(), (5,), (5, 0), (), true[:1], true[:2]], strict=True):
        at = pixel_of(GRID.cell(sequence), *position, axes.images[0].get_array().shape[0])
        if at is None:
            continue
        x, y = axes.transData.transform(at)
        colour = canvas[canvas.shape[0] - 1 - round(y - 0.5), round(x - 0.5), :3]
        assert np.abs(colour / 255 - to_rgb(TRUE)).max() < 0.02
        found += 1
    assert found == 5  # not in the view that is off the true path


def drawn(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_panels_have_a_second_row_only_where_paths_differ(tmp_path):
    same, other = path_panel(make_case()), path_panel(make_case((5, 10, 4)))
    unknown = path_panel(make_case(true=None))
    assert len(image_axes(same)) == len(image_axes(unknown)) == 4
    assert len(image_axes(other)) == 7
    assert other.get_size_inches()[1] > same.get_size_inches()[1]
    assert "error 32 m" in words(other)
    assert "error" not in words(unknown)
    size = Image.open(save_figure(other, tmp_path / "deep" / "panel.png")).size
    assert size == pytest.approx(other.get_size_inches() * 200, abs=1)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["panel.png"]


def image_axes(figure: Figure) -> list:
    return [a for a in figure.axes if a.images]


def words(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in figure.texts)


def test_missing_map_is_labelled():
    case = make_case()
    views = (case.views[0], dataclasses.replace(case.views[1], no_data=0.374), case.views[2])
    for figure in (path_panel(dataclasses.replace(case, views=views)), sheet([dataclasses.replace(case, views=views)])):
        assert words(figure).count("no data") == 1
        assert "37 % no data" in words(figure)


def test_a_pick_is_right_only_on_the_true_path():
    assert make_case((5, 10, 3), (5, 10, 3)).right == (True, True, True)
    assert make_case((5, 9, 3), (5, 10, 3)).right == (True, False, False)
    assert make_case(true=None).right is None
    with pytest.raises(GeometryError, match="views"):
        dataclasses.replace(make_case(), views=())


def test_no_text_leaves_the_page_or_overlaps_another():
    cases = [make_case((5, 10, 4), name="x" * 200), make_case((0, 1, 2), name="$\\frac"), make_case(true=None)]
    for figure in (path_panel(cases[0], CREDIT), path_panel(cases[2], CREDIT), sheet([*cases, cases[0]], CREDIT)):
        drawn(figure)
        renderer = figure.canvas.get_renderer()
        boxes = [t.get_window_extent(renderer) for t in figure.texts if t.get_text()]
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        for k, box in enumerate(boxes):
            assert not [o for o in boxes[k + 1:] if box.shrunk(0.96, 0.7).overlaps(o.shrunk(0.96, 0.7))]


def test_overview_and_its_errors(tmp_path):
    view = PathView(FakeMap().view(*GRID.region.centre, 640.0, 128).pixels)
    true = [GRID.cell((a, 5, 5)).centre for a in range(0, 16, 3)]
    figure = overview(view, GRID, true[::-1], true, CREDIT)
    assert "6 photos" in words(figure) and "licence" in words(figure)
    assert save_figure(figure, tmp_path / "o.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ConfigError, match="predicted and 0 true"):
        overview(view, GRID, true, [])
    with pytest.raises(ConfigError, match=r"\.png"):
        save_figure(figure, tmp_path / "o.bmp")
    with pytest.raises(ConfigError, match="no photo"):
        sheet([])


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(mpl.rcParams)
    drawn(path_panel(make_case()))
    assert dict(mpl.rcParams) == before


def test_the_same_case_gives_the_same_bytes(tmp_path):
    first, second = (save_figure(sheet([make_case()]), tmp_path / n).read_bytes() for n in ("a.png", "b.png"))
    assert first == second
    assert zoom_gif(make_case(), pixels=80) == zoom_gif(make_case(), pixels=80)


@pytest.mark.parametrize("true", [(5, 10, 3), (5, 10, 4), (0, 0, 0), None])
def test_the_gif_zooms(true):
    case = make_case(true=true)
    data = zoom_gif(case, CREDIT, pixels=120)
    with Image.open(io.BytesIO(data)) as image:
        frames = [f.convert("RGB").copy() for f in ImageSequence.Iterator(image)]
        assert image.info["loop"] == 0
        assert 3_000 < sum(f.duration_ms for f in zoom_frames(case, None, 60)) < 15_000
    assert len(data) < MAX_BYTES
    assert len(frames) > 20
    assert frames[0].width == 120 and frames[0].height > 120
    assert np.abs(np.asarray(frames[0], float) - np.asarray(frames[-1], float))[:120].mean() > 10


def test_the_gif_keeps_below_its_limit():
    case = make_case()
    noise = tuple(PathView(np.random.default_rng(k).integers(0, 255, (120, 120, 3), dtype=np.uint8)) for k in range(3))
    whole = zoom_gif(dataclasses.replace(case, views=noise), pixels=120, max_bytes=10**9)
    small = zoom_gif(dataclasses.replace(case, views=noise), pixels=120, max_bytes=len(whole) // 3)
    assert len(small) <= len(whole) // 3


def test_the_camera_goes_from_the_view_to_the_cell():
    target = (0.75, 0.5, 0.25)
    assert dive(target, 0.0) == pytest.approx((0, 0, 1))
    assert dive(target, 1.0) == pytest.approx(target)
    still = (1.0, 2 / 3)  # the point that does not move
    for t in np.linspace(0, 1, 7):
        left, top, edge = dive(target, float(t))
        assert ((still[0] - left) / edge, (still[1] - top) / edge) == pytest.approx(still)
        assert left >= -1e-12 and left + edge <= 1 + 1e-12
    assert within(target, target) == pytest.approx((0, 0, 1))


def test_the_sharper_view_is_where_the_blurred_one_is():
    views = GridViews(FakeMap(), GRID, 128)
    coarse, fine = views.get(()), views.get((6,))
    target = (0.5, 0.25, 0.25)
    for t in (0.3, 0.8, 1.0):
        window = dive(target, t)
        image = crop(coarse, window, 96)
        both = fade_in(image, fine, target, window, 1.0)
        assert np.abs(both[4:-4, 4:-4].astype(int) - image[4:-4, 4:-4]).max() <= 4


@pytest.mark.parametrize("action", range(16))
def test_a_closeup_contains_its_cell(action):
    left, top, edge = closeup_window(action, 4)
    row, col = divmod(action, 4)
    assert left >= 0 and left + edge <= 1 and top >= 0 and top + edge <= 1
    assert left <= col / 4 and (col + 1) / 4 <= left + edge and top <= row / 4 and (row + 1) / 4 <= top + edge


def test_views_are_as_sharp_as_the_map_allows():
    sharp = ViewPictures(GridViews(FakeMap(), GRID, 16), sizes=(48, 32))
    partial = ViewPictures(GridViews(FakeMap(finest_m=4.0), GRID, 16), sizes=(48, 32))
    assert [len(v.pixels) for v in sharp.along((1, 2, 3))] == [48, 48, 48]
    assert len(partial.get(()).pixels) == 48 and len(partial.get((1,)).pixels) == 32
    assert partial.closeup((1, 2, 3)) is None
    with pytest.raises(TileError):
        partial.get((1, 2))  # not even the model's own 16 pixels


def test_file_names_are_safe_and_distinct():
    names = [safe_stem(n) for n in HOSTILE]
    assert len({n.lower() for n in names}) == len(names)
    for name in names:
        assert Path(name).name == name and len(name) < 64 and name not in {".", ".."} and name.isascii()
    assert safe_stem("1173264646566777") == "1173264646566777"
    assert safe_stem("Abc").lower() != safe_stem("abc")


def test_hostile_names_can_be_drawn(recwarn):
    for name in HOSTILE:
        assert readable(name).isprintable() and len(readable(name)) <= 48
    drawn(path_panel(make_case(name="$\\frac{1}{0}$ \x00\n\t日本\udcff")))
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


def test_lengths_for_the_reader():
    assert [metres(v) for v in (10_000, 2500, 625, 156.25, 39.06, 4.94, 999.7)] == [
        "10 km", "2.5 km", "625 m", "156 m", "39 m", "4.9 m", "1 km"]
    for size in (10_000, 2500, 625, 156.25, 5.0, 0.3):
        assert size * 0.34 / 2.51 < scale_bar_m(size) <= size * 0.34
