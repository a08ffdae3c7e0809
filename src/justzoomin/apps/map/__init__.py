"""`jzi map`: build, check, cache and inspect maps, draw a view as a picture."""

from __future__ import annotations

import typer

from justzoomin.apps.map import build, cache, check, info, view
from justzoomin.apps.shared.lazy import command

app = typer.Typer(no_args_is_help=True, help="Maps: build, check, cache, inspect, draw a view.")
command(app, "build")(build.build)
command(app, "check")(check.check)
command(app, "cache")(cache.cache)
command(app, "info")(info.info)
command(app, "view")(view.view)
