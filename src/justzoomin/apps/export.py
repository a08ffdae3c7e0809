"""`jzi export`: write the encoders of a model as files for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, or owner/name on the hub.")],
    out: Annotated[Path | None, typer.Option(
        "--out", help="File (.onnx) or folder to write. Default: encoder.onnx in the model's folder. The encoder of a ray "
                      "matcher is written to the same folder as encoder.matcher.onnx.")] = None,
    format_: Annotated[str, typer.Option("--format", help="Format of the files: onnx.")] = "onnx",
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
) -> None:
    """Write the encoders of a model for ONNX Runtime, which starts faster on a CPU.

    Use them with jzi localize --runtime onnx.
    The files are kept only if they give the same values as torch. They work only with this model.
    """
    from justzoomin.apps.shared.console import single_model
    from justzoomin.apps.shared.demo_names import refuse_packaged
    from justzoomin.errors import ConfigError
    from justzoomin.models import ONNX_FILE, export_onnx

    if format_ != "onnx":
        raise ConfigError(f"--format {format_}", "unknown format", "Give onnx.")
    name = single_model(model)
    if out is None:
        refuse_packaged(name, "--out")
    done = export_onnx(name, out, revision)
    typer.echo(f"Wrote {done.path}")
    if done.matcher_path is not None:
        typer.echo(f"  and {done.matcher_path.name} in the same folder: the encoder of the ray matcher, which is needed too")
    typer.echo(f"  {done.bytes / 1e6:,.1f} MB, made in {done.seconds:.0f} s; vectors differ from those of torch by at "
               f"most {done.difference:.1g} of their length")
    runtime = "onnx" if Path(model) / ONNX_FILE == done.path else str(done.path)
    typer.echo(f"  use it with: jzi localize PHOTO --map MAP --model {model} --runtime {runtime}")
