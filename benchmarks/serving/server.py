"""`jzi serve` in a process of its own: its address, processor time, memory and log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server. Its log is kept, so that a traceback in it is found.

    Args:
        town: The map.
        model: The model, as for `jzi serve`.
        words: More options of `jzi serve`.
        port: Port to listen on; 0 for any free one.
    """

    def __init__(self, town: Path, model: str, words: tuple[str, ...] = (), port: int = 0) -> None:
        self.log_file = tempfile.TemporaryFile("w+", prefix="serve-log-")  # noqa: SIM115  # as long as the server
        command = [
            sys.executable,
            "-m",
            "justzoomin.apps.main",
            "serve",
            "--map",
            str(town),
            "--model",
            model,
            "--port",
            str(port),
            "--device",
            "cpu",
            *words,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log_file, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("page:"):
            raise RuntimeError(self.log())
        self.address = line.split()[1].rstrip("/")
        self.port = int(self.address.rpartition(":")[2])
        self._wait_until_ready()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.process.kill()
        self.process.wait()

    def get(self, path: str) -> bytes:
        """Return the body of an answer."""
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:
            return bytes(answer.read())

    def described(self) -> dict[str, object]:
        """Return the description of its interface."""
        found = json.loads(self.get("/openapi.json"))
        assert isinstance(found, dict)
        return found

    def processor_s(self) -> float:
        """Return the seconds that all its threads have used of the processors."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> float:
        """Return its resident memory in megabytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def open_files(self) -> int:
        """Return the number of its open files and sockets."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        """Return the number of its threads."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def log(self) -> str:
        """Return what it has written to its log."""
        self.log_file.seek(0)
        return self.log_file.read()

    def _wait_until_ready(self) -> None:
        started = time.monotonic()
        while time.monotonic() - started < 300 and self.process.poll() is None:
            try:
                self.get("/readyz")
                return
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
            time.sleep(0.2)
        raise RuntimeError(f"the server is not ready:\n{self.log()}")
