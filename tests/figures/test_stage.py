"""The stages: which photos they take and which files they write, on synthetic and on real data."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from justzoomin.errors import ConfigError, PhotoError
from justzoomin.figures import localize_figure, visualize
from justzoomin.figures.stage import spread
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.maps import View
from justzoomin.maps.map import Square
from justzoomin.models import ZoomModel, model_preset
from justzoomin.search import Localizer
from justzoomin.tiles import AERIAL_ATTRIBUTION, CARD_LAYOUT

GRID = ZoomGrid(Region(38.9, -77.0, (-320.0, 320.0), (-320.0, 320.0)), grid=4, depth=2)
IDS = ["../evil", "1", "$x\x00"]


class NoiseMap:
    """A map of noise, the same for the same place."""

    grid, layout, root, attribution, listed = GRID, CARD_LAYOUT, Path("nowhere"), AERIAL_ATTRIBUTION, False

    def view(self, lat, lon, size_m, pixels, bearing_deg=0.0):
        rng = np.random.default_rng([int(abs(lat) * 1e6), int(abs(lon) * 1e6), pixels])
        image = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(-(-pixels // 8), 0).repeat(-(-pixels // 8), 1)
        return View(image[:pixels, :pixels].copy(), Square.around(lat, lon, size_m), 0.0, 0)

    def fingerprint(self):
        return "noise"


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (9, 16, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def made_up() -> SimpleNamespace:
    lat, lon = GRID.centres(GRID.unflatten(np.arange(3) * 80, 2))
    return SimpleNamespace(
        split=lambda name: Records(lat, lon),
        sequences=lambda name: GRID.encode(lat, lon), map=NoiseMap(), grid=GRID, attribution=lambda: "By nobody.",
        photos=SimpleNamespace(read=lambda image_id: jpeg(len(image_id)), where=repr))


class Records:
    def __init__(self, lat, lon):
        self.image_ids, self.lat, self.lon = IDS, lat, lon

    def __len__(self):
        return len(IDS)


@pytest.fixture(scope="module")
def model() -> ZoomModel:
    return ZoomModel(model_preset("small"))


def test_the_choice_is_even_and_seeded():
    assert spread(5, 10, 0) == [0, 1, 2, 3, 4]
    chosen = spread(1000, 10, 3)
    assert chosen == spread(1000, 10, 3) != spread(1000, 10, 4)
    assert [i // 100 for i in chosen] == list(range(10))


def test_hostile_ids_write_only_inside_the_folder(tmp_path, model):
    steps = []
    written = visualize(model, made_up(), tmp_path / "in" / "out", count=9, progress=lambda *s: steps.append(s))
    assert steps == [(k, 3) for k in range(1, 4)]
    assert len(written) == len(set(written)) == 2 * len(IDS) + 2
    assert {p.parent for p in written} == {tmp_path / "in" / "out"}
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(written)
    assert {"panel_1.png", "zoom_1.gif", "overview.png", "sheet.png"} <= {p.name for p in written}
    for path in written:
        with Image.open(path) as image:
            image.load()
            assert image.format == path.suffix[1:].upper()
    with pytest.raises(ConfigError, match="at least one"):
        visualize(model, made_up(), tmp_path, count=0)


def test_figures_of_fixes(tmp_path, model):
    paths = []
    for k in range(3):
        paths.append(tmp_path / f"{k}.jpg")
        paths[-1].write_bytes(jpeg(k))
    localizer = Localizer(model, NoiseMap())
    fixes = [localizer.localize(p) for p in paths]
    one = Image.open(localize_figure(fixes[0], localizer, tmp_path / "one.png")).size
    assert one == Image.open(localize_figure(fixes[:1], localizer, tmp_path / "same.png")).size
    many = Image.open(localize_figure(fixes, localizer, tmp_path / "many.jpg")).size
    assert many[1] > one[1]
    unnamed = localizer.localize(jpeg(9))
    with pytest.raises(ConfigError, match="Give the photos"):
        localize_figure(unnamed, localizer, tmp_path / "no.png")
    photo = np.zeros((90, 160, 3), np.uint8)
    assert localize_figure(unnamed, localizer, tmp_path / "yes.svg", photos=[photo]).read_bytes().startswith(b"<?xml")
    with pytest.raises(ConfigError, match="no fix"):
        localize_figure([], localizer, tmp_path / "no.png")
    with pytest.raises(ConfigError, match=r"\.png"):
        localize_figure(fixes, localizer, tmp_path / "no.txt")
    paths[0].unlink()
    with pytest.raises(PhotoError):
        localize_figure(fixes, localizer, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


def test_real_data(shared, tmp_path, model):
    from justzoomin.data import open_dataset

    dataset = open_dataset(shared / "data" / "dc-mini")
    written = visualize(model, dataset, tmp_path, count=1)
    assert [p.name.split("_")[0].split(".")[0] for p in written] == ["panel", "zoom", "overview", "sheet"]
    assert all(p.stat().st_size < 3_500_000 for p in written)
    assert written[1].stat().st_size < 3_000_000
