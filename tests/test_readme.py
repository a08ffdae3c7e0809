"""The commands of README and of its three doors are run from the pages' own text, with small things of their names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import exports
import fakes
from justzoomin import Localizer
from justzoomin.apps.main import main
from justzoomin.apps.shared.demo_photos import leave_drive, leave_photos
from justzoomin.city import CityConfig, build_city
from justzoomin.data import open_dataset
from pages import PROJECT, Command, commands

README = PROJECT / "README.md"
DOORS = [PROJECT / "docs" / name for name in ("researchers.md", "own-city.md", "robots-and-gis.md")]
NOT_RUN = {
    "make demo": "it sets up a virtual environment over the network; tests/apps/test_demo.py measures the same towns",
    "make page": "it runs until it is interrupted; tests/browser opens the page",
    "make test": "it runs this test",
    "make setup": "it sets up a virtual environment over the network",
    ". .venv/bin/activate": "the environment of make setup",
    "jzi data download DATA": "it needs the network; tests/hub downloads from a hub of its own",
    "jzi train --data DATA --preset paper --out RUN": "it needs the hub's weights and days; tests/training trains tiny models",
    "python benchmarks/accuracy/twins.py 320 640 --seeds 9300 9301 9302": "minutes of two cores; tests/city makes such towns",
    "python benchmarks/accuracy/twins.py 1280 --seeds 9300": "the same",
    "python benchmarks/accuracy/make_set.py areas SETS/areas --workers 2": "half an hour; its recipe is tested",
    "jzi model import FILE.pth MODEL": "it needs a file of the authors' code; tests/models imports one with generated weights",
}
"""Commands that are not run here, and why."""
SHORTENED = {
    "jzi train --data CITY --from demo --out RUN": ("--set", "epochs=1", "--set", "workers=0"),
    "jzi data synth TOWN --seed 3 --size-m 320 --photos 2000": ("--size-m", "60", "--photos", "2", "--gsd-m", "0.5",
                                                                "--workers", "1"),
    "jzi visualize RUN/models/best --data DATA --out PICTURES -n 10": ("-n", "1"),
    "jzi map cache DATA --pixels 384": ("--pixels", "48"),
    "jzi photos import photos/ CITY --map CITY --split block": ("--block-m", "80", "--guard-m", "10", "--val-share", "0.25"),
}
"""What is put behind commands, so that they take seconds: of two values of an option the last one counts."""
ENDS_WITH = {"jzi data publish-check CITY": 1}
"""Exit codes that are not 0: there is something to settle."""
MADE = {"researchers.md: A synthetic town": ("TOWN",), "own-city.md": ("RUN",)}
"""What a section makes itself and does not find."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that README names: what each name is here."""
    pytest.importorskip("embreex", reason="the synthetic city needs the extra 'synth'")
    pytest.importorskip("rasterio", reason="maps are built with the extra 'own'")
    root = tmp_path_factory.mktemp("readme")
    small = {"size_m": 320.0, "depth": 3, "gsd_m": 0.5, "photo_width": 96, "photo_height": 54, "workers": 2}
    town = build_city(root / "demo" / "town", CityConfig(seed=7, photos=28, val_photos=9, **small))
    unseen = build_city(root / "demo" / "unseen-town", CityConfig(seed=3, photos=1, val_photos=4, **small))
    leave_photos(open_dataset(town), root / "demo" / "photos" / "own-town", 1)
    leave_drive(open_dataset(unseen), root / "demo" / "drive", 3)
    (root / "orthophotos").mkdir()
    exports.export_orthophoto(town, root / "orthophotos" / "town.tif")
    exports.export_photos(town, root / "photos")
    for name in ("DATA", "MAP", "TOWN"):
        fakes.make_repository(root / name, train=20, val=5, pixels=32)
        shutil.copy(root / name / "metadata" / "large_area_train_map.csv", root / name / "metadata" / "SPLIT.csv")
    model = fakes.tiny_model()
    for folder in ("MODEL", "RUN/models/best", "RUN/models/last"):
        model.save_pretrained(root / folder, fakes.grid_of(root / "DATA"))
    (root / "RUN" / "config.yaml").write_text("{}")
    for number, name in enumerate(("photo.jpg", "more/a.jpg", "PHOTOS/b.jpg")):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(fakes.encoded(fakes.picture(160, 90, number)))
    (root / "list.txt").write_text("more/a.jpg\n")
    return root


SHOWN = [command for page in (README, *DOORS) for command in commands(page)]


def section_of(command: Command) -> str:
    """Page and section of a command."""
    return ": ".join(filter(None, (command.page.name, command.section)))


@pytest.mark.parametrize("section", dict.fromkeys(map(section_of, SHOWN)))
def test_the_commands_of_a_section_run(section: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    work = tmp_path / "work"
    shutil.copytree(prepared, work)
    monkeypatch.chdir(work)
    for name in MADE.get(section, ()):
        shutil.rmtree(name)
    for command in (c for c in SHOWN if section_of(c) == section):
        if command.text in NOT_RUN:
            continue
        assert command.words[0] == "jzi", f"{command.where}: {command.text}: run it here, or say in NOT_RUN why not"
        before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([*command.words[1:], *SHORTENED.get(command.text, ())])
        got = capsys.readouterr()
        code = stop.value.code or 0
        assert code == ENDS_WITH.get(command.text, 0), f"{command.where}: {command.text}\n{got.out}\n{got.err}"
        after = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
        assert got.out or before != after, f"{command.where}: {command.text}: it did nothing"
        _check(command, got.out, work)


def _check(command: Command, out: str, work: Path) -> None:
    """What is printed is what the page shows, where it shows it; files that are named as outputs are there."""
    if command.text.startswith("jzi grid"):
        assert out.strip().startswith(command.comment) or "centre" in command.comment, command.where
    if command.text.startswith("jzi localize demo/"):
        shown = re.search(r"^```text\n(demo/photos.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        assert shown is not None
        alike = [re.sub(r"[\d.]+", "N", text).split(" (")[0].splitlines() for text in (shown[1], out)]
        assert alike[0] == alike[1]
    for option, name in zip(command.words, command.words[1:], strict=False):
        if option in {"--out", "--geojson", "--figure", "--heatmap", "--gpx", "--sheet"}:
            assert (work / name).exists(), f"{command.where}: {name}"


def test_every_exception_is_of_a_command_that_the_page_shows() -> None:
    shown = {command.text for command in SHOWN}
    assert not {*NOT_RUN, *SHORTENED, *ENDS_WITH} - shown
    assert not set(MADE) - {section_of(command) for command in SHOWN}


def test_the_python_of_the_page_runs(prepared: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(prepared)
    (block,) = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    exec(compile(block, str(README), "exec"), {})
    fix = Localizer.load("MODEL", "MAP").localize("photo.jpg")
    assert capsys.readouterr().out.startswith(f"{fix.lat} {fix.lon} {fix.credible_radius_m}")


def test_readme_is_a_newcomers_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120
