"""`jzi demo`: make a small town and measure the packaged model on photos that it has never seen."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
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
SIZE_M, LARGE_M = 320.0, 1280.0
TRAIN_PHOTOS, MATCHED_PHOTOS = 54_000, 2400
HELD_OUT_PHOTOS, UNSEEN_PHOTOS, LARGE_PHOTOS = 400, 200, 64
OTHER_TOWNS = 300
"""Number of other towns to train the matcher on, so that it learns to compare and does not memorize the demo's town."""
OTHER_KINDS = ((320.0, False, 192), (320.0, True, 192), (640.0, True, 480))
"""What these are, one after the other: side in metres, whether there are districts, photos."""
UNSEEN, OWN, LARGE = "a town it never saw", "its own town", "a town of 1,280 m that it never saw"
RADII_M = (20.0, 40.0, 50.0, 100.0)
ZOOMER = ("epochs=12", "val_split=null")
"""Settings of `jzi demo --train` that differ from the preset `small`; docs/demo.md tells how the packaged model was made."""
MATCHER = ("epochs=9", "val_split=null", "model.matcher.own_encoder=true", "model.matcher.zoom_weight=1",
           "model.matcher.photo_fit=crop", "model.matcher.photo_scale=1.33333333", "matching.zoom_weight=0")
"""Settings that differ from the preset `best`, for the matcher that is added to the zoomer."""


def demo_city(photos: int, val_photos: int = HELD_OUT_PHOTOS, seed: int = SEED) -> CityConfig:
    """Return the demo's town; place and held-out photos do not depend on the number of training photos."""
    from justzoomin.city import CityConfig

    return CityConfig(seed=seed, size_m=SIZE_M, photos=photos, val_photos=val_photos, photo_width=192, photo_height=108)


def large_city() -> CityConfig:
    """Return the large town, which is only for figures. Its overhead image is coarser, so that it is made sooner."""
    from justzoomin.city import CityConfig

    return CityConfig(seed=UNSEEN_SEED, size_m=LARGE_M, depth=4, gsd_m=0.5, photos=16, val_photos=LARGE_PHOTOS, photo_width=192,
                      photo_height=108, workers=1)


def other_town(number: int) -> CityConfig:
    """Return one of the other towns for training, from 0: the set `towns` of the accuracy benchmark."""
    from justzoomin.city import CityConfig

    size_m, districts, photos = OTHER_KINDS[number % len(OTHER_KINDS)]
    return CityConfig(seed=20_000 + number, size_m=size_m, districts=districts, depth=3, gsd_m=0.25, photos=photos,
                      val_photos=1, photo_width=192, photo_height=96)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the towns, the pictures and report.json.")] = Path("demo"),
    train: Annotated[bool, typer.Option(
        "--train", help="Do everything from the start: make photos and train a model, about six hours.")] = False,
    pictures: Annotated[int, typer.Option("--pictures", min=1, max=100, help="Number of photos to draw.")] = 6,
) -> None:
    """Make three towns, localize photos that the model has never seen, print a table and draw pictures.

    The towns are made from seeds.
    Two of them the model has never seen: one of 320 m, and one of 1,280 m.
    On the third it was trained, with other photos, from other drives in other light.
    See docs/demo.md.
    """
    from justzoomin.apps.evaluate import print_reports
    from justzoomin.city import build_city
    from justzoomin.data import open_dataset
    from justzoomin.figures import visualize
    from justzoomin.files import write_json

    started = time.perf_counter()
    town, unseen, large = out / ("town-train" if train else "town"), out / "unseen-town", out / "large-town"
    for folder, seed in ((unseen, UNSEEN_SEED), (large, UNSEEN_SEED), *(() if train else ((town, SEED),))):
        _remove_own_town(folder, seed)
    with _beside() as work:
        typer.echo(f"making a town of {LARGE_M:,.0f} m x {LARGE_M:,.0f} m beside everything else ...", err=True)
        made = work(build_city, large, large_city())
        if not train:
            _make(town, demo_city(16))
        _make(unseen, demo_city(16, UNSEEN_PHOTOS, UNSEEN_SEED))
        model_folder = _train(out, town) if train else packaged_model()
        reports = {}
        with _threads_shared() as threads:
            measured = work(_measure_beside, model_folder, large, threads)
            for name, folder in ((UNSEEN, unseen), (OWN, town)):
                typer.echo(f"localizing photos that the model has never seen, in {name} ...", err=True)
                with progress_bar("photos") as advance_photos:
                    reports[name] = _measure(model_folder, folder, advance_photos)
                print_reports({name: reports[name]})
            typer.echo("drawing ...", err=True)
            drawn = visualize(model_folder, open_dataset(town), out / "pictures", split="val", count=pictures)
            made.result()
            if not measured.done():
                typer.echo(f"localizing photos in {LARGE} ...", err=True)
            reports[LARGE] = measured.result()
        print_reports({LARGE: reports[LARGE]})
    report: dict[str, Any] = {**reports[OWN], "unseen_town": reports[UNSEEN], "large_town": reports[LARGE]}
    written = write_json(report, out / "report.json")
    screen = console()
    screen.print(f"report:   {written}")
    for path in drawn:
        screen.print(f"picture:  {path}")
    screen.print(f"done in {time.perf_counter() - started:.0f} s. Commands to try, with photos that the model has never seen:")
    for line in _leave(out, town, unseen, model_folder if train else None):
        screen.print(f"  {line}", markup=False)


def _measure(model: Path, town: Path, advance: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Return the report of a model on a town."""
    from justzoomin.evaluation import evaluate_path

    progress = None if advance is None else lambda _: advance
    return evaluate_path(str(model), town, "val", radii_m=RADII_M, progress=progress)[model.name].report


def _measure_beside(model: Path, town: Path, threads: int) -> dict[str, Any]:
    """Return the report of a model on a town, computed by another process with this number of threads."""
    import torch

    torch.set_num_threads(threads)
    return _measure(model, town)


def _leave(out: Path, town: Path, unseen: Path, model: Path | None) -> list[str]:
    """Write photos and a drive to try, and return the commands that localize them; `model` is None for the packaged one."""
    from justzoomin.data import open_dataset

    own, other = open_dataset(town), open_dataset(unseen)
    first = leave_photos(own, out / "photos" / "own-town")[0]
    foreign = leave_photos(other, out / "photos" / "unseen-town")[0]
    times = leave_drive(other, out / "drive")
    named = "" if model is None else f" --model {model}"
    return [f"jzi localize {first} --map {town}{named}", f"jzi localize {foreign} --map {unseen}{named}",
            f"jzi track {times.parent} --times {times} --map {unseen} --gpx {out / 'track.gpx'}{named}"]


@contextmanager
def _beside() -> Iterator[Callable[..., Future[Any]]]:
    """Give a function that submits work to another process, which does one thing after the other, during the context."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool.submit
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _threads_shared() -> Iterator[int]:
    """Compute with half of torch's threads during the context, and give their number: as many are for the other process.

    Threads that wait for one another on busy cores would use up most of these.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // 2))
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _make(town: Path, config: CityConfig) -> None:
    """Make a town unless its folder exists."""
    from justzoomin.city import build_city

    if town.exists():
        return
    typer.echo(f"making a town of {config.size_m:g} m x {config.size_m:g} m from seed {config.seed} ...", err=True)
    with stage_bars() as advance:
        build_city(town, config, progress=advance)


def _train(out: Path, town: Path) -> Path:
    """Train a zoomer on the town, then add a matcher that is trained on many, and return the model's folder.

    An interrupted training continues. The last models are used, not the best on the held-out photos: these photos are only for
    the figures and must not choose the model.
    """
    towns = {out / "towns" / "own": demo_city(MATCHED_PHOTOS, 1)}
    towns |= {out / "towns" / str(number): other_town(number) for number in range(OTHER_TOWNS)}
    _make(town, demo_city(TRAIN_PHOTOS))
    for folder, config in towns.items():
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
    """Remove the town of an earlier demo, so that every demo measures what it has made itself.

    Raises:
        ConfigError: If the folder holds something else.
    """
    if not town.exists():
        return
    note = town / "ATTRIBUTION"
    if not (note.is_file() and note.read_text(encoding="utf-8").startswith(f"Synthetic town (seed {seed})")):
        raise ConfigError(town, "the folder exists and is not the town of an earlier demo", "Give another folder with --out.")
    shutil.rmtree(town)
