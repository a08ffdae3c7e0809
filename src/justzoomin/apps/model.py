"""`jzi model`: import a published checkpoint, print what a model folder holds, write its card, publish it on the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justzoomin.apps.shared.lazy import command

if TYPE_CHECKING:
    from justzoomin.geometry import ZoomGrid
    from justzoomin.models import MapModel

app = typer.Typer(no_args_is_help=True,
                  help="Models: import a checkpoint of the authors' code, print what a model is, write its card, publish it.")


@command(app, "import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.pth", help="Checkpoint of the authors' code.")],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="Model folder to write.")],
    encoder_config: Annotated[Path | None, typer.Option(
        help="config.json of the encoder (transformers). Needed unless it is a DINOv2 of a published size.")] = None,
    region: Annotated[str | None, typer.Option(
        metavar="FILE|dc", help="Region that the model was trained on, to record it: a region.yaml or a preset.")] = None,
    image_pixels: Annotated[int, typer.Option(min=8, help="Side of the training images in pixels.")] = 384,
) -> None:
    """Make a model folder from a checkpoint (.pth) of the authors' code."""
    from justzoomin.models import ZoomModel, import_checkpoint

    path = import_checkpoint(file, dest, encoder_config, grid=_grid(region), image_pixels=image_pixels)
    typer.echo(f"Wrote {path}")
    _print(describe(ZoomModel.from_pretrained(path), str(path)))


@command(app, "info")
def info(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, or owner/name on the hub.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, including the training settings.")] = False,
) -> None:
    """Print what a model is: family, preset, weights, grid, where it was trained, fingerprint."""
    from justzoomin.apps.shared.console import single_model
    from justzoomin.models import open_model

    facts = describe(open_model(single_model(model), revision=revision), model)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)


@command(app, "card")
def card(
    folder: Annotated[Path, typer.Argument(help="Model folder.")], *,
    licence: Annotated[str, typer.Option("--license", help="Licence of the weights, as the hub spells it: cc-by-4.0, mit ...")],
    data_licence: Annotated[str, typer.Option("--data-license", help="Licence of the training data, where the model's record "
                                                                     "does not state it.")] = "",
    title: Annotated[str, typer.Option(help="Title. Default: the folder's name.")] = "",
    repo_id: Annotated[str, typer.Option(help="Repository on the hub, for the lines of use.")] = "owner/name",
    datasets: Annotated[list[str] | None, typer.Option("--dataset", help="Dataset repository on the hub that it was trained "
                                                                         "on. May be repeated.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="Dataset repository on the hub that the reports are of; then "
                                                       ".eval_results/ is written too.")] = None,
    reports: Annotated[list[Path] | None, typer.Option("--report", help="Evaluation report, besides evaluation-*.json in the "
                                                                        "folder. May be repeated.")] = None,
) -> None:
    """Write a model's card (README.md) from what its folder knows: training data, figures, calibration, limits, use."""
    from justzoomin.apps.shared.demo_names import refuse_packaged
    from justzoomin.publishing import write_model_card

    refuse_packaged(folder, "FOLDER")
    for path in write_model_card(folder, licence=licence, data_licence=data_licence, title=title, repo_id=repo_id,
                                 datasets=datasets or (), benchmark=benchmark, reports=reports or ()):
        typer.echo(f"wrote {path}")


@command(app, "push")
def push(
    folder: Annotated[Path, typer.Argument(help="Model folder, with its card.")],
    repo_id: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub; it is made if missing.")], *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    decided: Annotated[bool, typer.Option("--decided", help="A person has decided what only a person can decide.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be uploaded and what to settle.")] = False,
) -> None:
    """Upload a model with all files that belong to it, and their hashes, to the hub. Refused while something is unsettled."""
    from justzoomin.apps.shared.publish_items import print_items, print_size
    from justzoomin.publishing import files_to_push, model_push_items, push_model

    print_items(model_push_items(folder))
    print_size(files_to_push(folder))
    if not dry_run:
        typer.echo(f"commit {push_model(folder, repo_id, private=private, decided=decided).commit}: {repo_id}")


def describe(model: MapModel, name: str) -> dict[str, Any]:
    """Return the facts that `jzi model info` prints, as plain JSON values."""
    from justzoomin.models import plan

    config = model.config
    architecture = config.encoder.architecture or {}
    grid = model.grid
    return {
        "model": name,
        "family": config.family,
        "preset": config.preset,
        "encoder": architecture.get("model_type"),
        "encoder_source": config.encoder.source,
        "vector_width": model.encoder.width,
        "decoder_blocks": config.decoder.blocks if model.decodes_paths else None,
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "encoder_weights": sum(parameter.numel() for parameter in model.encoder.parameters()),
        "trainable_weights": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "grid": config.grid,
        "depth": config.depth,
        "image_pixels": config.image_pixels,
        "photo_decode": config.photo_decode,
        "trained_on": None if grid is None else {
            "reference_lat": grid.region.reference_lat,
            "reference_lon": grid.region.reference_lon,
            "east_m": list(grid.region.east_m),
            "north_m": list(grid.region.north_m),
            "grid": grid.grid,
            "depth": grid.depth,
            "terminal_cell_m": float(grid.cell_size_m(grid.depth)),
        },
        "provenance": model.provenance,
        "computed": plan(model.device).words(),
        "frozen": model.encoder.prefix_size,
        "fingerprint": model.fingerprint(),
    }


_SETTINGS = "the training settings; --json shows them"


def _print(facts: dict[str, Any]) -> None:
    trained_on = facts["trained_on"]
    place = "not recorded" if trained_on is None else (
        f"{trained_on['reference_lat']:.6f}, {trained_on['reference_lon']:.6f}; east {trained_on['east_m']} m, "
        f"north {trained_on['north_m']} m; {trained_on['depth']} steps to cells of {trained_on['terminal_cell_m']:g} m")
    encoder = f"{facts['encoder']}, vectors of {facts['vector_width']}"
    if facts["encoder_source"]:
        encoder += f", from {facts['encoder_source']}"
    rows = {
        "model": facts["model"],
        "family": facts["family"],
        "preset": facts["preset"] or "none",
        "weights": f"{facts['weights']:,} ({facts['encoder_weights']:,} in the encoder; "
                   f"{facts['trainable_weights']:,} trainable)",
        "encoder": encoder,
        "decoder": "none" if facts["decoder_blocks"] is None else f"{facts['decoder_blocks']} blocks",
        "grid": f"{facts['grid']} x {facts['grid']}, depth {facts['depth']}",
        "images": f"{facts['image_pixels']} px, photos decoded {facts['photo_decode']}",
        "trained on": place,
        **{f"provenance: {key}": _short(key, value) for key, value in facts["provenance"].items()},
        "computed": facts["computed"],
        "frozen": facts["frozen"] or "no part that can be run alone",
        "fingerprint": facts["fingerprint"],
    }
    width = max(map(len, rows)) + 2
    for key, value in rows.items():
        typer.echo(f"{key:<{width}}{value if isinstance(value, str) else json.dumps(value)}")


def _short(key: str, value: Any) -> Any:
    """Return a recorded value, shortened to fit on a line."""
    if key == "config":
        return _SETTINGS
    if key == "maps" and isinstance(value, list) and len(value) > 1:
        names = [str(row.get("data")) for row in value if isinstance(row, dict)]
        return f"{len(value)}: {', '.join(names[:3])} ...; --json shows them"
    return value


def _grid(region: str | None) -> ZoomGrid | None:
    if region is None:
        return None
    from justzoomin.geometry import load_grid, preset

    return load_grid(Path(region)) if Path(region).exists() else preset(region)
