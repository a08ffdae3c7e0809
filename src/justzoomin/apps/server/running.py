"""Running the server: the listening socket, the address that is printed, the end."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import threading
import webbrowser
from pathlib import Path

import typer
import uvicorn

from justzoomin.apps.server.app import create_app
from justzoomin.apps.server.connections import protocol
from justzoomin.apps.server.settings import ServeSettings
from justzoomin.errors import ConfigError
from justzoomin.files import cache_home
from justzoomin.search import Localizer

_BACKLOG = 1024
_M_ARENA_MAX = -8
"""Source: malloc.h of glibc."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: If the address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        raise ConfigError(f"--host {host} --port {port}", f"the address cannot be used ({error.strerror or error})",
                          "Choose another port, or 0 for any free one.") from error
    return listening


def few_arenas() -> None:
    """Let all threads share two pools of memory: glibc gives each of many threads one of its own, which never shrinks."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 2)


def run(localizer: Localizer, settings: ServeSettings, host: str, port: int, *, examples: Path | None = None,
        jobs: Path | None = None, open_page: bool = False) -> None:
    """Serve until interrupted.

    Args:
        localizer: Model and map.
        settings: Limits, and who may ask.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        examples: Folder of photos that the page offers to try.
        jobs: Folder of jobs; None for one in the cache folder.
        open_page: Whether to open the page in the browser.
    """
    few_arenas()
    listening = listen(host, port)
    app = create_app(localizer, settings, jobs or _jobs_folder(localizer), examples=examples)
    name = f"[{host.strip('[]')}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}{settings.root_path}/"
    typer.echo(f"page:      {address}\ninterface: {address}docs")
    typer.echo("Only this machine is answered, because there is no --token." if settings.token is None else
               "Requests need the key of --token.", err=True)
    typer.echo("Photos are not stored, positions in EXIF are not used, nothing leaves this machine. Ctrl-C ends.", err=True)
    if open_page:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30,
                            http=protocol(settings.upload_idle_s),
                            timeout_graceful_shutdown=10)
    uvicorn.Server(config).run(sockets=[listening])


def _jobs_folder(localizer: Localizer) -> Path:
    """Return the folder of jobs for a model and a map."""
    return cache_home() / "jobs" / f"{localizer.model_hash[:12]}-{localizer.map_hash[:12]}"
