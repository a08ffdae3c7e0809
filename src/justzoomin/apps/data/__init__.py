"""`jzi data`: look into a dataset, verify it, make a synthetic one."""

from __future__ import annotations

import typer

from justzoomin.apps.data import audit, download, extract, info, publish_check, ready, synth, verify

app = typer.Typer(no_args_is_help=True, help="Datasets: look inside, verify, make a synthetic town.")
app.command("download")(download.download)
app.command("extract")(extract.extract)
app.command("ready")(ready.ready)
app.command("synth")(synth.synth)
app.command("verify")(verify.verify)
app.command("audit")(audit.audit)
app.command("publish-check")(publish_check.publish_check)
app.command("info")(info.info)
