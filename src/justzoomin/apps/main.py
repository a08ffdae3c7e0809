"""The command `jzi`. Every command imports what it needs when it runs, so that help answers at once."""

from __future__ import annotations

import io
import sys
import warnings

import typer

from justzoomin.apps import (
    calibrate,
    compare,
    demo,
    evaluate,
    export,
    grid,
    index,
    localize,
    model,
    photos,
    region,
    score,
    track,
    train,
    visualize,
)
from justzoomin.apps.data import app as data_app
from justzoomin.apps.map import app as map_app
from justzoomin.apps.shared.terminal import guard_streams
from justzoomin.errors import DiskError, JustZoomInError
from justzoomin.spelling import SPELLED

app = typer.Typer(
    name="jzi", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"color": True},  # else typer drops escapes without a word; standard output and error show them as text
    help="Say where a street photo was taken, from the photo and an overhead map alone.")

app.command("localize")(localize.localize)
app.command("index")(index.index)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("compare")(compare.compare)
app.command("calibrate")(calibrate.calibrate)
app.command("track")(track.track)
app.command("visualize")(visualize.visualize)
app.command("export")(export.export)
app.command("demo")(demo.demo)
app.add_typer(data_app, name="data")
app.add_typer(map_app, name="map")
app.add_typer(model.app, name="model")
app.add_typer(grid.app, name="grid")
app.add_typer(region.app, name="region")
app.add_typer(photos.app, name="photos")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("justzoomin"))
        raise typer.Exit


@app.callback()
def _options(show_version: bool = typer.Option(False, "--version", callback=_version, is_eager=True,
                                               help="Print the version and stop.")) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; errors of ours, and of files that cannot be read or written, end it with one line.

    Args:
        arguments: Words after `jzi`; those of the process if None.
    """
    guard_streams()
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):  # names of files that the terminal cannot show must not end a job
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
    except SystemExit as stop:  # typer makes this of Ctrl-C in a command
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
