"""`jzi export`: the encoders of a model as files for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, or owner/name on the hub.")],
    out: Annotated[Path | None, typer.Option(
        "--out", help="File (.onnx) or folder to write. Default: encoder.onnx in the model's folder. The encoder of a ray "
                      "matcher goes beside it: encoder.matcher.onnx.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Format: onnx.")] = "onnx",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
) -> None:
    """Write the encoders of a model for ONNX Runtime, which starts faster on a CPU: jzi localize --runtime onnx.

    The files are kept only if they give what torch gives. They work with this model alone.
    """
    from justzoomin.apps.shared.console import single_model
    from justzoomin.apps.shared.demo_names import refuse_packaged
    from justzoomin.errors import ConfigError
    from justzoomin.models import ONNX_FILE, export_onnx

    if format_ != "onnx":
        raise ConfigError(f"--format {format_}", "models are not exported to this format", "Give onnx.")
    name = single_model(model)
    if out is None:
        refuse_packaged(name, "--out")
    done = export_onnx(name, out, revision)
    typer.echo(f"Wrote {done.path}")
    if done.matcher_path is not None:
        typer.echo(f"  and {done.matcher_path.name} beside it: the ray matcher's encoder, which it needs")
    typer.echo(f"  {done.bytes / 1e6:,.1f} MB, made in {done.seconds:.0f} s; within {done.difference:.1g} of torch's values "
               "(share of their length)")
    runtime = "onnx" if Path(model) / ONNX_FILE == done.path else str(done.path)
    typer.echo(f"  use it with: jzi localize PHOTO --map MAP --model {model} --runtime {runtime}")
