"""The examples of docs/service.md, against a server on the loopback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "service.md"
BLOCKS = re.findall(r"^<!-- run -->\n```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(localizer, tmp_path_factory):
    """Address of a running server."""
    import uvicorn

    from justzoomin.apps.server.app import create_app
    from justzoomin.apps.server.running import listen
    from justzoomin.apps.server.settings import ServeSettings

    listening = listen("127.0.0.1", 0)
    app = create_app(localizer, ServeSettings(), tmp_path_factory.mktemp("jobs"))
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"localhost:{listening.getsockname()[1]}"
    running.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def folder(tmp_path, photos):
    for name, (_, data) in zip(("photo.jpg", "other.jpg"), photos, strict=False):
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_there_are_examples():
    assert {language for language, _ in BLOCKS} == {"sh", "python"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()])
def test_commands_are_answered(line, server, folder):
    ran = subprocess.run(["bash", "-c", line.replace("localhost:8765", server).replace("curl -s", "curl -s --fail-with-body")],
                         cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)


@pytest.mark.parametrize("code", [block for language, block in BLOCKS if language == "python"])
def test_python_is_answered(code, server, folder):
    environment = {**os.environ, "PYTHONPATH": ""}
    ran = subprocess.run([sys.executable, "-c", code.replace("localhost:8765", server)], cwd=folder, env=environment,
                         capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    lat, _, radius, calibrated = ran.stdout.split()
    assert float(lat) == pytest.approx(54.5, abs=0.01) and float(radius) > 0 and calibrated == "False"


def test_head_is_answered_like_get(server):
    import http.client

    connection = http.client.HTTPConnection(server, timeout=30)
    for path in ("/", "/healthz", "/tiles/map.json"):
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert answer.status == 200 and int(answer.headers["content-length"]) > 0 and answer.read() == b"", path
