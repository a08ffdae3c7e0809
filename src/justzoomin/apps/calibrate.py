"""`jzi calibrate`: fit a model's probabilities to how often its answers are right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.shared.console import (
    BATCH_HELP,
    DEVICE_HELP,
    INDEX_HELP,
    REGION_HELP,
    progress_bar,
    region_option,
    single_model,
    writable_file,
)
from justzoomin.apps.shared.demo_names import refuse_packaged

if TYPE_CHECKING:
    from justzoomin.posterior import ManyMapsCalibration, OneMapCalibration


def calibrate(
    model: Annotated[str, typer.Argument(help="Model folder or hub id.")],
    data: Annotated[list[Path], typer.Option(
        "--data", help="Folder of a dataset: calibrate for its map. Folder of several datasets: calibrate for maps that the "
                       "model has never seen. May be repeated.")],
    split: Annotated[str, typer.Option(help="Split of held-out training photos, used neither for training nor for scores.")],
    after: Annotated[int, typer.Option("--after", min=0, help="Leave out this many photos at the start of the split, if the "
                                                              "model was trained on them.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Largest number of photos to use.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File to write. Default: calibration.json in the model's folder, "
                                                           "where other commands find it.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="JSON file for reliability curves.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Picture file for a reliability diagram.")] = None,
    keep: Annotated[float, typer.Option("--keep", help="Share of these photos that should count as on the map.")] = 0.95,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    index: Annotated[Path | None, typer.Option("--index", help=INDEX_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help=BATCH_HELP)] = 32,
) -> None:
    """Make a model's probabilities hold what they claim, with photos that it was not trained on.

    With one dataset: temperatures, tails and an off-map threshold for its map. Splits named val or test, and photos that the
    model was trained on, are refused.

    With several: temperatures and a uniform share that depend on a map's area, for maps that the model has never seen.
    Any split may be given; maps that the model was trained on are refused.

    A model's file may hold both: each is replaced without the other. See docs/confidence.md.
    """
    from justzoomin.data import open_datasets
    from justzoomin.errors import ModelError
    from justzoomin.evaluation import calibrate as fit
    from justzoomin.evaluation import calibrate_many, reliability_report
    from justzoomin.files import write_json
    from justzoomin.models import open_model, unbind
    from justzoomin.posterior import CALIBRATION_FILE

    name = single_model(model)
    if out is None:
        refuse_packaged(name, "--out")
        if not Path(name).is_dir():
            raise ModelError(name, "a model on the hub has no folder to write its calibration into",
                             f"Name a file with --out, or download it: hf download {name} --local-dir FOLDER.")
    target = writable_file(out or Path(name) / CALIBRATION_FILE, "--out")
    for path, option in ((report, "--report"), (figure, "--figure")):
        if path is not None:
            writable_file(path, option)
    if figure is not None:
        from justzoomin.figures import check_format

        check_format(figure)
    datasets = open_datasets(data, region_option(region))
    if len(datasets) > 1 and index is not None:
        raise typer.BadParameter("an index is of one map, but several datasets are given", param_hint="--index")
    opened = open_model(name, device=device)
    with progress_bar("photos") as advance:
        if len(datasets) == 1:
            found = fit(opened, datasets[0], split, after=after, limit=limit, batch_size=batch_size, index=index, keep=keep,
                        progress=advance)
        else:
            found = calibrate_many(opened, datasets, split, after=after, limit=limit, batch_size=batch_size, progress=advance)
    one_map, many_maps = found.calibration.one_map, found.calibration.many_maps
    if one_map is not None:
        _print(one_map)
    if many_maps is not None:
        _print_many(many_maps)
    whole = found.calibration.with_other_part(target)
    if whole != found.calibration:
        typer.echo(f"kept from the file: the calibration of {'many maps' if many_maps is None else 'one map'}")
    if target.name == CALIBRATION_FILE and opened.folder is not None and target.parent.resolve() == opened.folder.resolve():
        unbind(opened.folder)
    typer.echo(f"calibration: {whole.save(target)}")
    if report is not None:
        typer.echo(f"report: {write_json(reliability_report(found), report)}")
    if figure is not None:
        from justzoomin.figures import reliability_figure, save_figure

        typer.echo(f"figure: {save_figure(reliability_figure(found.before, found.after, datasets[0].attribution()), figure)}")


def _print(found: OneMapCalibration) -> None:
    """Print figures of the photos that were used for the fit, before and after."""
    before, after = found.figures["before"], found.figures["after"]
    numbers = "  ".join(f"{t:.3f} (tail {tail:.1e})" for t, tail in zip(found.temperatures, found.tails, strict=True))
    typer.echo(f"fitted and measured on {found.photos:,} held-out photos; temperatures of the steps: {numbers}")
    typer.echo(f"{'':38}  before   after")
    _row("negative log-likelihood, nats", before["nll"], after["nll"], "8.3f")
    _row("calibration error of the top cell, %", 100 * before["ece_top_cell"], 100 * after["ece_top_cell"], "8.1f")
    _row("calibration error within 40 m, %", 100 * before["ece_within_40m"], 100 * after["ece_within_40m"], "8.1f")
    for level in before["coverage"]:
        was, now = (100 * part["coverage"][level][0] for part in (before, after))
        _row(f"photos in their {level} % region, %", was, now, "8.1f")
    typer.echo(f"off the map below {found.off_map_threshold:.3g} ({found.off_map_measure}); "
               f"{100 * found.off_map_kept:.1f} % of these photos are above")


def _print_many(found: ManyMapsCalibration) -> None:
    """Print the laws, and figures before and after by the size of the maps."""
    typer.echo(f"fitted on {found.photos:,} photos of {len(found.maps)} maps")
    for number, law in enumerate(found.laws, 1):
        step = f" of step {number}" if len(found.laws) > 1 else ""
        typer.echo(f"ln temperature{step}: {law.log_temperature:.3f} {law.by_area:+.3f} ln(area / 1 km²) {law.by_entropy:+.3f} "
                   "(entropy share - 0.5)")
    typer.echo(f"logit of the uniform share: {found.uniform.logit:.2f} {found.uniform.by_area:+.2f} ln(area / 1 km²)")
    typer.echo("photos in their regions, %: before -> after (scatter of single maps), and negative log-likelihood in nats;\n"
               "each map by a calibration that was fitted without it")
    rows = [("all", found.figures["before"]["all"], found.figures["after"]["all"])]
    rows += [(f"{before['size_m']} m", before, after)
             for before, after in zip(found.figures["before"]["by_size"], found.figures["after"]["by_size"], strict=True)]
    levels = list(rows[0][1]["coverage"])
    heads = "".join(f"{f'{level} % region':>24}" for level in levels)
    typer.echo(f"{'size':>7}{'maps':>6}{'photos':>8}{heads}{'nats':>16}")
    for name, before, after in rows:
        regions = (f"{100 * was[0]:.1f} -> {100 * now[0]:.1f} ({100 * now[3]:.1f})"
                   for was, now in ((before["coverage"][level], after["coverage"][level]) for level in levels))
        typer.echo(f"{name:>7}{before['maps']:>6}{before['photos']:>8,}" + "".join(f"{words:>24}" for words in regions)
                   + f"{before['nll']:>8.2f}{after['nll']:>8.2f}")


def _row(words: str, before: Any, after: Any, form: str) -> None:
    typer.echo(f"{words:38}{before:{form}}{after:{form}}")
