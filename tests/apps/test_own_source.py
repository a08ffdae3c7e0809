"""A source of tiles from outside, written on the page on extending, serves the commands as a folder of the same tiles does."""

from __future__ import annotations

import importlib
import json
import pickle
import re
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from running import Jzi

import fakes
from justzoomin.maps import Map, ViewCache, map_content
from justzoomin.tiles.packages import _added
from pages import PROJECT


def written(kind: str, holds: str) -> str:
    """The page's one block of a kind that holds some words."""
    page = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
    found = [text for text in re.findall(rf"^```{kind}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL) if holds in text]
    assert len(found) == 1, f"docs/extending.md has {len(found)} blocks of {kind} with {holds!r}"
    return found[0]


@pytest.fixture
def zipsource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's package, laid down as pip does; its module's name."""
    _added.cache_clear()
    project = tomllib.loads(written("toml", "entry-points"))
    (name,) = project["tool"]["setuptools"]["py-modules"]
    site = tmp_path / "site"
    facts = site / f"{project['project']['name']}-{project['project']['version']}.dist-info"
    facts.mkdir(parents=True)
    (site / f"{name}.py").write_text(written("python", "class ZipSource"))
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['project']['version']}\n")
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())
             for group, rows in project["project"]["entry-points"].items()]
    (facts / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(site)
    monkeypatch.setitem(sys.modules, name, importlib.import_module(name))
    yield name
    _added.cache_clear()


@pytest.fixture
def maps(tmp_path: Path, zipsource: str) -> tuple[Path, Path]:
    """A town as a folder, and its map again in a ZIP file."""
    town = fakes.make_repository(tmp_path / "town", pixels=32, train=2, val=2, extracted=True)
    folder, package = town / "satellite", tmp_path / "zipped" / "tiles.zip"
    package.parent.mkdir()
    shutil.copy(folder / "region.yaml", package.parent)
    with zipfile.ZipFile(package, "w") as file:
        for path in sorted([folder / "layout.yaml", *folder.rglob("*.jpg")]):
            file.write(path, path.relative_to(folder).as_posix())
    return folder, package


def test_every_command_answers_as_for_a_folder(maps: tuple[Path, Path], jzi: Jzi, tmp_path: Path) -> None:
    model, photo = tmp_path / "model", tmp_path / "photo.jpg"
    fakes.tiny_model().save_pretrained(model, fakes.grid_of(tmp_path / "town"))
    photo.write_bytes(fakes.encoded(fakes.picture(160, 90), quality=90))

    def both(*words: object) -> list:
        """What the command prints as JSON for the folder and for the ZIP file."""
        found = []
        for number, place in enumerate(maps):
            ran = jzi(*[{"MAP": place, "INDEX": tmp_path / f"index-{number}"}.get(str(word), word) for word in words], "--json")
            assert ran.code == 0, ran.err
            found.append(json.loads(ran.out))
        return found

    info, zipped = both("map", "info", "MAP")
    assert (info.pop("source"), zipped.pop("source")) == ("folder", "zip")
    assert zipped.pop("root") == str(maps[1]) and info.pop("root") == str(maps[0]) and zipped == info

    check, zipped = both("map", "check", "MAP", "--pixels", 32)
    assert zipped.pop("root") != check.pop("root") and zipped == check

    cache, zipped = both("map", "cache", "MAP", "--pixels", 32)
    assert (zipped["views"], zipped["content"]) == (cache["views"], cache["content"])
    assert Path(zipped["folder"]).parent == maps[1].parent / ".jzi-views"
    views = [ViewCache(made["folder"]) for made in (cache, zipped)]
    assert np.array_equal(*(made.batch(range(len(made))) for made in views)) and len(views[0]) == cache["views"]

    index, zipped = both("index", model, "--data", "MAP", "--out", "INDEX")
    same = {"out": "", "seconds": 0.0}
    assert {**zipped, **same} == {**index, **same} and index["ready"] == index["views"]

    def answer(row: dict) -> dict:
        return {key: value for key, value in row.items() if key != "seconds"}

    (fix,), (zipped,) = both("localize", photo, "--model", model, "--map", "MAP", "--index", "INDEX")
    assert answer(zipped) == answer(fix) and "sequence" in fix


def test_a_changed_file_is_seen_and_the_source_opens_in_another_process(maps: tuple[Path, Path], zipsource: str) -> None:
    folder, package = maps
    opened = Map.open(package)
    levels = opened.source.levels()
    content = map_content(opened, levels)
    assert content.digest == map_content(Map.open(folder), levels).digest
    again = pickle.loads(pickle.dumps(opened))
    assert type(again.source).__module__ == zipsource and again.fingerprint() == opened.fingerprint()
    with zipfile.ZipFile(package, "a") as file:
        file.writestr(f"{levels[-1]}/123456/7.jpg", b"a tile more")
    assert map_content(opened, levels, known=content).digest != content.digest
    assert map_content(again, levels[:1]).digest == map_content(Map.open(folder), levels[:1]).digest


def test_what_cannot_be_used_is_named(maps: tuple[Path, Path], jzi: Jzi, tmp_path: Path) -> None:
    ran = jzi("map", "build", maps[1], tmp_path / "built", "--attribution", "Town")
    assert ran.code and "web maps" in ran.err
    (facts,) = (tmp_path / "site").glob("*.dist-info")
    (facts / "entry_points.txt").write_text("[justzoomin.tile_sources]\nzip = zipsource:Missing\n")
    _added.cache_clear()
    ran = jzi("map", "info", maps[1])
    assert ran.code and "zipsource:Missing cannot be loaded" in " ".join(ran.err.split())
    (facts / "entry_points.txt").write_text("[other]\nzip = zipsource:ZipSource\n")
    _added.cache_clear()
    ran = jzi("map", "info", maps[1])
    assert ran.code and "Traceback" not in ran.err
