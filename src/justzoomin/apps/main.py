"""The command `jzi`: the list of commands, and errors as one line. A command imports what it needs when it runs."""

from __future__ import annotations

import io
import sys
import warnings

import typer

from justzoomin.apps import (
    calibrate,
    compare,
    demo,
    doctor,
    evaluate,
    export,
    grid,
    index,
    localize,
    model,
    pack,
    photos,
    region,
    score,
    serve,
    track,
    train,
    visualize,
)
from justzoomin.apps.data import app as data_app
from justzoomin.apps.map import app as map_app
from justzoomin.apps.shared.lazy import command
from justzoomin.apps.shared.terminal import guard_streams
from justzoomin.errors import DiskError, JustZoomInError
from justzoomin.spelling import SPELLED

app = typer.Typer(
    name="jzi", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"color": True},  # otherwise typer drops escapes silently; guard_streams shows them as text
    help="Say where a street photo was taken, from the photo and an overhead map alone.")

command(app, "localize")(localize.localize)
command(app, "index")(index.index)
command(app, "train")(train.train)
command(app, "evaluate")(evaluate.evaluate)
command(app, "score")(score.score)
command(app, "compare")(compare.compare)
command(app, "calibrate")(calibrate.calibrate)
command(app, "track")(track.track)
command(app, "serve")(serve.serve)
command(app, "visualize")(visualize.visualize)
command(app, "export")(export.export)
command(app, "demo")(demo.demo)
command(app, "doctor")(doctor.doctor)
app.add_typer(data_app, name="data")
app.add_typer(map_app, name="map")
app.add_typer(model.app, name="model")
app.add_typer(pack.app, name="pack")
app.add_typer(grid.app, name="grid")
app.add_typer(region.app, name="region")
app.add_typer(photos.app, name="photos")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("justzoomin"))
        raise typer.Exit


@app.callback()
def _options(show_version: bool = typer.Option(False, "--version", callback=_version, is_eager=True,
                                               help="Print the version and exit.")) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; an error of this package or of a file is printed as one line.

    Args:
        arguments: Words after `jzi`; None for those of the process.
    """
    guard_streams()
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):  # file names that the terminal cannot show must not end a job
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)
    try:
        app(arguments, prog_name="jzi")
    except JustZoomInError as error:
        _say(f"error: {_one_line(error)}")
        sys.exit(1)
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        _say(f"error: {_one_line(DiskError(error.filename or 'a file', error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_interrupted())
    except SystemExit as stop:  # typer turns Ctrl-C in a command into this
        if stop.code == INTERRUPTED:
            _interrupted()
        raise


def _interrupted() -> int:
    _say("interrupted")
    return INTERRUPTED


def _say(text: str) -> None:
    typer.echo(text, err=True, color=True)


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: object = None,
                  line: str | None = None) -> None:
    if category.__module__.startswith("justzoomin") or issubclass(category, UserWarning):
        _say(f"warning: {_one_line(message)}")


if __name__ == "__main__":
    main()
