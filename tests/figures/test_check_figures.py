"""Pictures of a checked map and of an audit: cells spread over the region, gaps where they are, text that fits."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fakes import make_repository
from justzoomin.checks import MapCheck, audit, cell_places, check_map
from justzoomin.data import open_dataset
from justzoomin.figures import audit_figure, contact_sheet, save_figure
from justzoomin.figures.contact import cover_picture, sample_cells
from justzoomin.maps import Map
from justzoomin.tiles import TileProjection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose finest level lacks its north-eastern quarter."""
    root = make_repository(tmp_path_factory.mktemp("sheet") / "town", train=12, val=6, pixels=32, extracted=True,
                           photo_size=(64, 36))
    opened = Map.open(root)
    middle = TileProjection(opened.layout).position_to_tile(*opened.grid.region.centre, 0)
    for path in (root / "satellite" / "0").rglob("*.jpg"):
        if int(path.parent.name) >= middle[0] and int(path.stem) >= middle[1] - 0.5:
            path.unlink()
    (root / "ATTRIBUTION").write_text("Imagery by nobody in particular.")
    return root


@pytest.fixture(scope="module")
def source(folder: Path) -> Map:
    return Map.open(folder)


@pytest.fixture(scope="module")
def check(source: Map) -> MapCheck:
    return check_map(source, pixels=32)


def texts(figure: object) -> list[str]:
    return [t.get_text() for t in figure.texts]  # type: ignore[attr-defined]


def test_the_sheet_says_what_was_found(check: MapCheck, source: Map, tmp_path: Path) -> None:
    figure = contact_sheet(check, source, source.attribution)
    words = texts(figure)
    assert "usable with warnings" in words
    assert any(re.fullmatch("level 1: [5678].*%", word) for word in words)  # about three quarters
    assert any("54.500000, 3.000000" in word for word in words)
    assert "Imagery by nobody in particular." in words
    assert any(word.endswith("no data") for word in words)
    assert save_figure(figure, tmp_path / "sheet.png").stat().st_size > 10_000


def test_text_stays_on_the_page(check: MapCheck, source: Map, folder: Path) -> None:
    crowded = dataclasses.replace(check, root="/x" * 200, problems=tuple(f"problem {k}: " + "word " * 30 for k in range(14)))
    report = audit(open_dataset(folder), files=False)
    for figure in (contact_sheet(crowded, source, "credit " * 100), audit_figure(report, "credit")):
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        width, height = figure.get_size_inches() * figure.dpi
        for text in figure.texts:
            box = text.get_window_extent(renderer)
            assert box.x0 >= -1, text.get_text()
            assert box.x1 <= width + 1, text.get_text()
            assert box.y0 >= -1, text.get_text()
            assert box.y1 <= height + 1, text.get_text()


def test_sampled_cells_are_spread_and_end_with_the_emptiest(check: MapCheck) -> None:
    cover = check.covers[1]
    chosen = sample_cells(check, 1, 6, seed=0)
    assert len(chosen) == len(set(chosen)) == 6
    share = dict(zip(cover.cells.tolist(), cover.share.tolist(), strict=True))
    assert share[chosen[-1]] == cover.share.min() == 0.0
    assert all(share[cell] > 0 for cell in chosen[:-1])
    places = cell_places(check.grid, 1, np.array(chosen[:-1]))
    assert np.ptp(places, axis=0).min() >= 2
    assert chosen == sample_cells(check, 1, 6, seed=0)
    assert sample_cells(check, 1, 100, seed=0)[-1] == chosen[-1]


def test_gaps_are_drawn_where_they_are(check: MapCheck) -> None:
    picture = cover_picture(check.covers[1]).astype(int)
    orange = picture[..., 0] > picture[..., 2] + 50
    assert orange[:22, 46:].all()  # north is up, east is right
    assert not orange[46:].any()
    assert not orange[:, :22].any()


def test_a_level_that_cannot_be_drawn_is_labelled(folder: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(folder, tmp_path / "gone"))
    shutil.rmtree(root / "satellite" / "0")
    source = Map.open(root)
    found = check_map(source, pixels=32)
    words = texts(contact_sheet(found, source))
    assert words.count("cannot be drawn") == 6
    assert "cannot be trained on" in words


def test_the_audits_figure(folder: Path, tmp_path: Path) -> None:
    report = audit(open_dataset(folder), files=False)
    for name, distances in (("own", report.distances_m), ("one", np.array([0.0])), ("far", np.array([1e6, 2e6]))):
        shown = dataclasses.replace(report, distances_m=distances, val=report.val[:len(distances)])
        figure = audit_figure(shown, "credit")
        axes = figure.axes[0]
        assert axes.get_xscale() == "log"
        line = axes.lines[0].get_xydata()
        assert line[-1][1] == 1.0
        assert (np.diff(np.asarray(line)[:, 1]) >= 0).all()
        assert save_figure(figure, tmp_path / f"{name}.png").stat().st_size > 10_000
    assert "credit" in texts(figure)
