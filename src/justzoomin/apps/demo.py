"""`jzi demo`: a small town, photos the packaged model has never seen, and how well it does on them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.shared.console import out as console
from justzoomin.apps.shared.console import progress_bar, stage_bars
from justzoomin.apps.shared.demo_names import packaged_model
from justzoomin.apps.shared.demo_photos import leave_drive, leave_photos
from justzoomin.errors import ConfigError

if TYPE_CHECKING:
    from justzoomin.city import CityConfig

SEED, UNSEEN_SEED = 7, 3
SIZE_M = 320.0
TRAIN_PHOTOS, MATCHED_PHOTOS = 54_000, 24_000
HELD_OUT_PHOTOS, UNSEEN_PHOTOS = 400, 200
OTHER_SEEDS, OTHER_PHOTOS = range(100, 196), 112
"""Towns that the matcher is trained on besides the demo's own, so that it learns to compare and not to remember."""
RADII_M = (20.0, 40.0, 50.0, 100.0)
ZOOMER = ("epochs=12", "val_split=null")
"""What `jzi demo --train` changes of the preset `small`. How the packaged model came about: docs/demo.md."""
MATCHER = ("epochs=8", "val_split=null", "model.matcher.own_encoder=true", "model.matcher.zoom_weight=1",
           "matching.zoom_weight=0")
"""What it changes of the preset `best` for the matcher that is put beside the zoomer."""


def demo_city(photos: int, val_photos: int = HELD_OUT_PHOTOS, seed: int = SEED) -> CityConfig:
    """The demo's town: the same place and the same held-out photos however many training photos are made."""
    from justzoomin.city import CityConfig

    return CityConfig(seed=seed, size_m=SIZE_M, photos=photos, val_photos=val_photos, photo_width=192, photo_height=108)


def other_town(seed: int) -> CityConfig:
    """One of the towns that are trained on besides the demo's own: those of the accuracy benchmark's set `cpu`."""
    from justzoomin.city import CityConfig

    return CityConfig(seed=seed, size_m=SIZE_M, depth=3, gsd_m=0.2, photos=OTHER_PHOTOS, val_photos=1, photo_width=192,
                      photo_height=96)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the towns, the pictures and report.json.")] = Path("demo"),
    train: Annotated[bool, typer.Option("--train", help="Do it all anew: photos, training; three to four hours.")] = False,
    pictures: Annotated[int, typer.Option("--pictures", min=1, max=100, help="Photos to draw.")] = 6,
) -> None:
    """Make a town, localize photos the model has never seen, print the table, draw pictures; then in a town it never saw.

    The towns are made from seeds. The model was trained on other photos of the first, from other drives under other light,
    and on other towns, but not on the second. See docs/demo.md.
    """
    from justzoomin.apps.evaluate import print_reports
    from justzoomin.data import open_dataset
    from justzoomin.evaluation import evaluate_path
    from justzoomin.figures import visualize
    from justzoomin.files import write_json

    started = time.perf_counter()
    town, unseen = out / ("town-train" if train else "town"), out / "unseen-town"
    if not train:
        _remove_own_town(town, SEED)
        _make(town, demo_city(16))
    _remove_own_town(unseen, UNSEEN_SEED)
    _make(unseen, demo_city(16, UNSEEN_PHOTOS, UNSEEN_SEED))
    model_folder = _train(out, town) if train else packaged_model()
    reports = {}
    for name, folder in (("its own town", town), ("a town it never saw", unseen)):
        typer.echo(f"localizing photos the model has never seen, in {name} ...", err=True)
        with progress_bar("photos") as advance_photos:
            found = evaluate_path(str(model_folder), folder, "val", radii_m=RADII_M, progress=lambda _: advance_photos)
        reports[name] = found[model_folder.name].report
        print_reports({name: reports[name]})
    report: dict[str, Any] = {**reports["its own town"], "unseen_town": reports["a town it never saw"]}
    written = write_json(report, out / "report.json")
    typer.echo("drawing ...", err=True)
    drawn = visualize(model_folder, open_dataset(town), out / "pictures", split="val", count=pictures)
    screen = console()
    screen.print(f"report:   {written}")
    for path in drawn:
        screen.print(f"picture:  {path}")
    screen.print(f"done in {time.perf_counter() - started:.0f} s. Photos to try, that the model has never seen:")
    for line in _leave(out, town, unseen, model_folder if train else None):
        screen.print(f"  {line}", markup=False)


def _leave(out: Path, town: Path, unseen: Path, model: Path | None) -> list[str]:
    """Write photos and a drive to try; the commands that localize them, the packaged model being the default."""
    from justzoomin.data import open_dataset

    own, other = open_dataset(town), open_dataset(unseen)
    first = leave_photos(own, out / "photos" / "own-town")[0]
    foreign = leave_photos(other, out / "photos" / "unseen-town")[0]
    times = leave_drive(other, out / "drive")
    named = "" if model is None else f" --model {model}"
    return [f"jzi localize {first} --map {town}{named}", f"jzi localize {foreign} --map {unseen}{named}",
            f"jzi track {times.parent} --times {times} --map {unseen} --gpx {out / 'track.gpx'}{named}"]


def _make(town: Path, config: CityConfig) -> None:
    """Make a town where there is none."""
    from justzoomin.city import build_city

    if town.exists():
        return
    typer.echo(f"making a town of {SIZE_M:g} m x {SIZE_M:g} m from seed {config.seed} ...", err=True)
    with stage_bars() as advance:
        build_city(town, config, progress=advance)


def _train(out: Path, town: Path) -> Path:
    """Train a zoomer on the town, then a matcher beside it on many, or go on where that stopped; returns the model's folder.

    The last models are taken, not the best on the held-out photos: those are for the figures and choose nothing.
    """
    towns = {out / "towns" / "own": demo_city(MATCHED_PHOTOS, 1)}
    towns |= {out / "towns" / str(seed): other_town(seed) for seed in OTHER_SEEDS}
    for folder, config in {town: demo_city(TRAIN_PHOTOS), **towns}.items():
        _make(folder, config)
    zoomer = _run("small", ZOOMER, [town], out / "run-zoomer")
    return _run("best", (*MATCHER, f"init={zoomer}"), list(towns), out / "run-matcher")


def _run(preset: str, settings: tuple[str, ...], towns: list[Path], run_folder: Path) -> Path:
    from justzoomin.apps.train import training_bar
    from justzoomin.data import open_datasets
    from justzoomin.training import train, train_config

    with training_bar() as report_progress:
        train(train_config(preset, None, settings), open_datasets(towns), run_folder,
              resume=(run_folder / "config.yaml").is_file(), report=report_progress)
    return run_folder / "models" / "last"


def _remove_own_town(town: Path, seed: int) -> None:
    """Remove the town of an earlier demo, so that every demo measures what it made itself.

    Raises:
        ConfigError: If something else stands there.
    """
    if not town.exists():
        return
    note = town / "ATTRIBUTION"
    if not (note.is_file() and note.read_text(encoding="utf-8").startswith(f"Synthetic town (seed {seed})")):
        raise ConfigError(town, "it exists and is no town of an earlier demo", "Give another folder with --out.")
    shutil.rmtree(town)
