"""What a map is, by hash: the same for every form of it, another one for any changed byte."""

import os
import shutil

import numpy as np
import pytest

from fakes import extract, make_repository
from justzoomin.errors import TileError
from justzoomin.geometry import view_count, view_sequence, zoom_layers
from justzoomin.maps import Map, MapContent, map_content, view_levels
from justzoomin.tiles import TileServer
from map_builders import pack


def levels_of(source: Map) -> tuple[int, ...]:
    return view_levels(source, zoom_layers(source.grid), 32)


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """The same map as shards, as loose tiles, and in shards cut elsewhere."""
    folder = tmp_path_factory.mktemp("forms")
    shards = make_repository(folder / "shards", train=1, val=1, pixels=32)
    loose = extract(shards, folder / "loose")
    other = pack(loose / "satellite", folder / "other" / "archives", 3)
    shutil.copytree(shards / "satellite", other / "satellite")
    return [Map.open(root) for root in (shards, loose, other)]


def test_the_digest_is_the_same_for_every_form_of_a_map(forms):
    contents = [map_content(source, levels_of(source)) for source in forms]
    assert len({content.digest for content in contents}) == 1
    assert len({content.stamp for content in contents}) == 3


@pytest.mark.parametrize("form", [0, 1])
def test_any_changed_byte_is_seen_though_size_and_time_are_put_back(forms, form, tmp_path):
    root = shutil.copytree(forms[form].root, tmp_path / "map")
    source = Map.open(root)
    levels = levels_of(source)
    before = map_content(source, levels)
    rng = np.random.default_rng(form)
    if form == 0:
        path = sorted((root / "archives").glob("satellite_level_0_*.tar"))[0]
        shards = source.source.shards(0)
        name = shards.names()[int(rng.integers(len(shards.names())))]
        at = path.read_bytes().index(shards.read(name)) + 40
    else:
        path, at = sorted((root / "satellite" / "0").rglob("*.jpg"))[3], 40
    status, content = path.stat(), bytearray(path.read_bytes())
    content[at] ^= 1
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    after = map_content(source, levels, known=before)
    assert after.digest != before.digest
    assert after == map_content(Map.open(root), levels)


def test_what_is_known_is_taken_over_without_reading_a_tile(forms, monkeypatch):
    source = forms[1]
    levels = levels_of(source)
    known = map_content(source, levels)

    def read(tile):
        raise AssertionError(tile)

    monkeypatch.setattr(source.source, "read", read)
    assert map_content(source, levels, known=known) is known
    with pytest.raises(AssertionError):
        map_content(source, levels[:1], known=known)


def test_a_missing_tile_and_another_layout_are_seen(forms, tmp_path):
    root = shutil.copytree(forms[1].root, tmp_path / "map")
    source = Map.open(root)
    before = map_content(source, levels_of(source))
    layout = root / "satellite" / "layout.yaml"
    text = layout.read_text()
    layout.write_text(text.replace("origin_crs:\n- ", "origin_crs:\n- 1"))
    assert layout.read_text() != text
    moved = Map.open(root, source.grid)
    assert map_content(moved, before.levels, known=before).digest != before.digest
    layout.write_text(text)
    sorted((root / "satellite" / "0").rglob("*.jpg"))[0].unlink()
    assert map_content(Map.open(root), before.levels, known=before).digest != before.digest


def test_the_levels_are_those_that_views_are_drawn_from(forms):
    source = forms[0]
    drawn = set()
    for number in range(view_count(source.grid)):
        cell = source.grid.cell(view_sequence(source.grid, number))
        drawn.add(source.view(cell.centre.lat, cell.centre.lon, cell.size_m, 32).level)
    assert drawn == set(levels_of(source))


def test_a_tile_servers_content_is_not_known(forms):
    server = Map.open(TileServer("http://localhost:9/{z}/{x}/{y}.png"), forms[0].grid)
    with pytest.raises(TileError, match="jzi map build"):
        map_content(server, (15,))


def test_it_survives_json_and_refuses_what_it_is_not(forms):
    content = map_content(forms[0], levels_of(forms[0]))
    assert MapContent.from_dict(content.to_dict(), "x") == content
    values = content.to_dict()
    for broken in (None, [], {}, {**values, "digest": "0"}, {**values, "levels": []}, {**values, "levels": [1, 0]},
                   {**values, "levels": ["0"]}, {**values, "stamp": 5}, {**values, "more": 1}):
        with pytest.raises(TileError, match="head of it"):
            MapContent.from_dict(broken, "head of it")
