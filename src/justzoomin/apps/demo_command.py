"""`jzi demo`: a small town, photos the packaged model has never seen, and how well it does on them."""

from __future__ import annotations

import shutil
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.console import out as console
from justzoomin.apps.console import progress_bar, stage_bars
from justzoomin.errors import ConfigError

if TYPE_CHECKING:
    from justzoomin.city import CityConfig

SEED = 7
SIZE_M = 320.0
TRAIN_PHOTOS = 54_000
HELD_OUT_PHOTOS = 400
RADII_M = (20.0, 40.0, 50.0, 100.0)
SETTINGS = ("epochs=12", "select_radius_m=20")
"""What `jzi demo --train` changes of the preset `small`. How the packaged model came about: docs/demo.md."""


def demo_city(photos: int, val_photos: int = HELD_OUT_PHOTOS) -> CityConfig:
    """The demo's town: the same place and the same held-out photos however many training photos are made."""
    from justzoomin.city import CityConfig

    return CityConfig(seed=SEED, size_m=SIZE_M, photos=photos, val_photos=val_photos, photo_width=192, photo_height=108)


def packaged_model() -> Path:
    """Folder of the demo model that comes with the package."""
    return Path(str(resources.files("justzoomin") / "assets" / "demo-model"))


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the town, the pictures and report.json.")] = Path("demo"),
    train: Annotated[bool, typer.Option("--train", help="Do it all anew: photos, training; one to two hours.")] = False,
    pictures: Annotated[int, typer.Option("--pictures", min=1, max=100, help="Photos to draw.")] = 6,
) -> None:
    """Make a town, localize photos the model has never seen, print the table, draw pictures.

    The town is made from a seed; the model was trained on other photos of the same town, from other drives under other
    light. See docs/demo.md.
    """
    from justzoomin.apps.evaluate_command import print_reports
    from justzoomin.apps.train_command import training_bar
    from justzoomin.city import build_city
    from justzoomin.data import open_dataset
    from justzoomin.evaluation import evaluate
    from justzoomin.figures import visualize
    from justzoomin.files import write_json
    from justzoomin.models import ZoomModel
    from justzoomin.training import train as run
    from justzoomin.training import train_config

    started = time.perf_counter()
    town = out / ("town-train" if train else "town")
    if not train:
        _remove_own_town(town)
    if not town.exists():
        typer.echo(f"making a town of {SIZE_M:g} m x {SIZE_M:g} m from seed {SEED} ...", err=True)
        with stage_bars() as advance:
            build_city(town, demo_city(TRAIN_PHOTOS if train else 16), progress=advance)
    dataset = open_dataset(town)
    if train:
        run_folder = out / "run"
        with training_bar() as report_progress:
            run(train_config("small", None, SETTINGS), dataset, run_folder,
                resume=(run_folder / "config.yaml").is_file(), report=report_progress)
        model_folder = run_folder / "models" / "last"
    else:
        model_folder = packaged_model()
    # The last model, not the best on the held-out photos: those are for the figures below and chose nothing.
    model = ZoomModel.from_pretrained(model_folder)
    typer.echo(f"localizing {HELD_OUT_PHOTOS} photos the model has never seen ...", err=True)
    with progress_bar("photos") as advance_photos:
        result = evaluate(model, dataset, "val", radii_m=RADII_M, progress=advance_photos)
    report: dict[str, Any] = result.report
    print_reports({"demo model": report})
    written = write_json(report, out / "report.json")
    typer.echo("drawing ...", err=True)
    drawn = visualize(model, dataset, out / "pictures", split="val", count=pictures)
    screen = console()
    screen.print(f"report:   {written}")
    for path in drawn:
        screen.print(f"picture:  {path}")
    screen.print(f"done in {time.perf_counter() - started:.0f} s. Your own photo: "
                 f"jzi localize PHOTO --model {model_folder} --map {town}")


def _remove_own_town(town: Path) -> None:
    """Remove the town of an earlier demo, so that every demo measures what it made itself.

    Raises:
        ConfigError: If something else stands there.
    """
    if not town.exists():
        return
    note = town / "ATTRIBUTION"
    if not (note.is_file() and note.read_text(encoding="utf-8").startswith(f"Synthetic town (seed {SEED})")):
        raise ConfigError(town, "it exists and is no town of an earlier demo", "Give another folder with --out.")
    shutil.rmtree(town)
