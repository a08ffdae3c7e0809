"""`jzi data`: download, inspect, verify, audit and publish datasets, make a synthetic one."""

from __future__ import annotations

import typer

from justzoomin.apps.data import audit, card, download, extract, info, publish, publish_check, ready, synth, verify
from justzoomin.apps.shared.lazy import command

app = typer.Typer(no_args_is_help=True, help="Datasets: download, inspect, verify, audit, publish, make a synthetic town.")
command(app, "download")(download.download)
command(app, "extract")(extract.extract)
command(app, "ready")(ready.ready)
command(app, "synth")(synth.synth)
command(app, "verify")(verify.verify)
command(app, "audit")(audit.audit)
command(app, "publish-check")(publish_check.publish_check)
command(app, "card")(card.card)
command(app, "publish")(publish.publish)
command(app, "info")(info.info)
