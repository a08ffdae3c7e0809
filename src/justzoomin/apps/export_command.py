"""`jzi export`: a model's encoder as a file for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, or owner/name on the hub.")],
    out: Annotated[Path | None, typer.Option(
        "--out", help="File (.onnx) or folder to write. Default: encoder.onnx in the model's folder.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Format: onnx.")] = "onnx",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
) -> None:
    """Write a model's encoder for ONNX Runtime, which starts faster on a CPU: jzi localize --runtime onnx.

    The file is kept only if its vectors are those of torch. It works with this model alone.
    """
    from justzoomin.apps.console import single_model
    from justzoomin.errors import ConfigError
    from justzoomin.models import ONNX_FILE, export_onnx

    if format_ != "onnx":
        raise ConfigError(f"--format {format_}", "models are not exported to this format", "Give onnx.")
    done = export_onnx(single_model(model), out, revision)
    typer.echo(f"Wrote {done.path}")
    typer.echo(f"  {done.bytes / 1e6:,.1f} MB, made in {done.seconds:.0f} s; vectors within {done.difference:.1g} of torch's "
               "(share of their length)")
    runtime = "onnx" if Path(model) / ONNX_FILE == done.path else str(done.path)
    typer.echo(f"  use it with: jzi localize PHOTO --map MAP --model {model} --runtime {runtime}")
