"""`jzi map`: build, check and cache a map, look inside, draw a view of it as a picture."""

from __future__ import annotations

import typer

from justzoomin.apps.map import build, cache, check, info, view

app = typer.Typer(no_args_is_help=True, help="Maps: look inside, draw a view.")
app.command("build")(build.build)
app.command("check")(check.check)
app.command("cache")(cache.cache)
app.command("info")(info.info)
app.command("view")(view.view)
