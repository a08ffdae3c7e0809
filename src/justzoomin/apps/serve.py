"""`jzi serve`: the service and the page for one model and one map."""

from __future__ import annotations

import ipaddress
import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from justzoomin.apps.shared.console import DEVICE_HELP, INDEX_HELP, REGION_HELP, region_option, single_model
from justzoomin.apps.shared.demo_names import DEMO, MAP_HELP, MODEL_HELP, map_named
from justzoomin.apps.shared.settings_options import from_settings

if TYPE_CHECKING:
    from justzoomin.apps.server.settings import ServeSettings

TOKEN = "JZI_TOKEN"
"""Environment variable for the key, so that it is in no list of processes."""


@from_settings("justzoomin.apps.server.settings:ServeSettings", {
    None: "model map_root index host port open_page examples jobs region device",
    "Who may ask": "token cors hosts root_path",
    "Limits": "batch_size max_waiting max_photos max_photo_mb max_body_mb "
              "max_job_mb max_megapixels upload_idle_s upload_s answer_s "
              "max_sessions_mb session_idle_s keep_s"})
def serve(
    settings: ServeSettings,
    model: Annotated[str, typer.Option("--model", help=MODEL_HELP)] = DEMO,
    map_root: Annotated[str, typer.Option("--map", help=MAP_HELP)] = DEMO,
    index: Annotated[Path | None, typer.Option("--index", help=INDEX_HELP)] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on. Others than loopback need --token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8765,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = False,
    examples: Annotated[Path | None, typer.Option("--examples", help="Folder of photos that the page offers to try; "
                                                  "examples.csv (photo, lat, lon) there tells their true places.")] = None,
    jobs: Annotated[Path | None, typer.Option("--jobs", help="Folder for jobs. Default: one in the cache folder for this model "
                                                             "and map.")] = None,
    region: Annotated[str | None, typer.Option("--region", help=REGION_HELP)] = None,
    device: Annotated[str, typer.Option("--device", help=DEVICE_HELP)] = "auto",
) -> None:
    """Answer over HTTP where photos were taken, with a page for people and tiles for GIS, all offline.

    Open the printed address in a browser, or send photos to /v1/localize; /docs describes the interface.
    Photos are not stored: those of jobs only until the job ends.
    Positions in their EXIF are never used, and nothing leaves this machine.
    """
    from justzoomin.errors import ConfigError, MissingExtraError

    if settings.token is None and TOKEN in os.environ:
        settings = _with_token(settings, os.environ[TOKEN])
    loopback = host == "localhost" or _is_loopback(host)
    if not loopback and settings.token is None:
        raise ConfigError(f"--host {host}", "without a key the service listens on loopback only",
                          f"Give --token or set {TOKEN}, or leave --host out and put a proxy before it.")
    try:
        for package in ("fastapi", "prometheus_client", "python_multipart", "uvicorn"):
            import_module(package)
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error
    from justzoomin.apps.server.running import run
    from justzoomin.maps import Map
    from justzoomin.search import Localizer

    if examples is not None and not examples.is_dir():
        raise ConfigError(f"--examples {examples}", "it is not a folder", "Name a folder of photos.")
    source = Map.open(map_named(map_root), grid=region_option(region))
    localizer = Localizer.load(single_model(model), source, None, device, index)
    run(localizer, settings, host, port, examples=examples, jobs=jobs, open_page=open_page)


def _with_token(settings: ServeSettings, token: str) -> ServeSettings:
    """Return the settings with the key of the environment.

    Raises:
        ConfigError: If the key is too short.
    """
    from pydantic import ValidationError

    from justzoomin.errors import ConfigError

    try:
        return type(settings).model_validate({**settings.model_dump(), "token": token})
    except ValidationError as error:
        raise ConfigError(TOKEN, str(error.errors()[0]["msg"]), "Set a longer key.") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
