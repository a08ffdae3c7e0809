"""Hostile requests over sockets: nothing may crash the server, hang, answer 5xx or write a traceback to its log."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import Any

from hostile_requests import Hostile, Hostiles

from serving.server import Server
from serving.truth import difference, localize_request
from serving.wire import Answer, Connection, form, read_answer, request

BLOCK = 500
HANG_S = 60.0
ALLOWED = (503, 507)
"""Answers of 5xx that are right: too busy, and the disk is full."""
SETTINGS = (
    "--upload-idle-s",
    "2",
    "--upload-s",
    "10",
    "--answer-s",
    "60",
    "--max-waiting",
    "64",
    "--max-body-mb",
    "16",
    "--max-job-mb",
    "16",
    "--max-megapixels",
    "20",
)
"""Limits small enough to be reached."""


class Attack:
    """Hostile requests to one server, and what they found.

    Args:
        server: The server, started with `SETTINGS`.
        photo: A photo.
        right: Its right answer.
        seed: The first request.
    """

    def __init__(self, server: Server, photo: bytes, right: dict[str, Any], seed: int = 0) -> None:
        self.server, self.photo, self.right = server, photo, right
        self.seeds = count(seed)
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.findings: list[str] = []
        self.slowest = (0.0, "")
        self._log = 0

    def mutations(self, requests: int, at_once: int) -> None:
        """Send requests of `Hostiles` in blocks; after each, a photo must be answered rightly."""
        for begun in range(0, requests, BLOCK):
            asyncio.run(self._block(min(BLOCK, requests - begun), at_once))
            self.check(f"mutations up to {begun + BLOCK}")

    def connections(self, number: int) -> None:
        """Open connections that only open, send a head slowly, a body slowly, or a body without end."""
        asyncio.run(self._connections(number))
        self.check("slow and endless connections")

    def schemathesis(self, command: str, examples: int) -> None:
        """Run schemathesis against the description of the interface; `pip install schemathesis` in a venv of its own."""
        before = self.requests()
        words = [
            command,
            "run",
            f"{self.server.address}/openapi.json",
            "--checks",
            "not_a_server_error",
            "--max-examples",
            str(examples),
            "--seed",
            "1",
            "--request-timeout",
            str(HANG_S),
            "--continue-on-failure",
            "--workers",
            "2",
            "--phases",
            "examples,coverage,fuzzing",
        ]
        with suppress(subprocess.TimeoutExpired):
            ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=1200)
            if ran.returncode:
                self.findings.append("schemathesis: " + ran.stdout[-6000:])
        print(f"schemathesis: {self.requests() - before} requests")
        self.check("schemathesis")

    def requests(self) -> int:
        """Return the number of requests that the server has answered."""
        lines = self.server.get("/metrics").decode().splitlines()
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("jzi_requests_total")))

    def check(self, when: str) -> None:
        """Check that the server lives, answers a photo rightly and has written no traceback."""
        if self.server.process.poll() is not None:
            raise RuntimeError(f"{when}: the server died\n{self.server.log()[-3000:]}")
        answer = asyncio.run(Connection(self.server.port).ask(localize_request(self.photo)))
        wrong = f"status {answer.status}" if answer.status != 200 else difference(json.loads(answer.body)[0], self.right)
        if wrong:
            self.findings.append(f"{when}: a good photo is answered wrongly: {wrong}")
        log = self.server.log()[self._log :]
        self._log += len(log)
        for found in re.findall(r"Traceback.*?\n(?=\S)[^\n]*", log, re.DOTALL)[:5]:
            self.findings.append(f"{when}: {found[-1500:]}")
        for line in re.findall(r"^.*(?:ERROR|Exception|never (?:awaited|retrieved)).*$", log, re.MULTILINE)[:5]:
            self.findings.append(f"{when}: logged {line[:400]}")
        print(
            f"{when}: {self.server.memory_mb():.0f} MB, {self.server.threads()} threads, {self.server.open_files()} files, "
            f"{len(self.findings)} findings",
            flush=True,
        )

    def report(self) -> None:
        """Print statuses by kind, and what was found."""
        for kind in sorted({kind for kind, _ in self.statuses}):
            found = {status: number for (each, status), number in sorted(self.statuses.items()) if each == kind}
            print(f"{kind}: " + ", ".join(f"{status or 'hung up'} {number}" for status, number in found.items()))
        print(f"slowest: {self.slowest[0]:.1f} s, {self.slowest[1]}")
        print(*(f"FOUND {one}" for one in self.findings), sep="\n")

    async def _block(self, requests: int, at_once: int) -> None:
        hostiles = Hostiles(self.server.described()["paths"], self.photo, await self._ids())  # type: ignore[arg-type]
        work = iter([next(self.seeds) for _ in range(requests)])

        async def client() -> None:
            for seed in work:
                hostile = hostiles.draw(seed)
                started = time.monotonic()
                status = await self._send(hostile, seed)
                taken = time.monotonic() - started
                self.slowest = max(self.slowest, (taken, f"seed {seed}, {hostile.kind}, status {status}"))
                self.statuses[hostile.kind, status] += 1

        await asyncio.gather(*(client() for _ in range(at_once)))

    async def _ids(self) -> list[str]:
        """Return ids of a new session and a new job."""
        connection, found = Connection(self.server.port), []
        for path, part in (("/v1/sessions", "photo"), ("/v1/jobs", "photos")):
            answer = await connection.ask(request("POST", path, form([(part, "a.jpg", self.photo)])))
            if answer.status in {201, 202}:
                found.append(json.loads(answer.body)["id"])
        connection.close()
        return found

    async def _send(self, hostile: Hostile, seed: int) -> int:
        """Send a request; return the status, 0 if the server hangs up without one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1 << 22)
        try:
            with suppress(ConnectionError):  # it may have heard enough
                writer.write(hostile.data)
                await writer.drain()
            answer = await asyncio.wait_for(_answer(reader, hostile), HANG_S)
        except TimeoutError:
            self.findings.append(f"seed {seed} ({hostile.kind}): no answer within {HANG_S:.0f} s: {hostile.data[:200]!r}")
            return 0
        except (OSError, asyncio.IncompleteReadError):
            return 0
        finally:
            writer.close()
        if answer.status >= 500 and answer.status not in ALLOWED:
            self.findings.append(f"seed {seed} ({hostile.kind}): {answer.status} {answer.body[:400]!r}")
        if b"Traceback" in answer.body or b"/justzoomin/" in answer.body or b"site-packages" in answer.body:
            self.findings.append(f"seed {seed} ({hostile.kind}): the answer tells of the inside: {answer.body[:500]!r}")
        return answer.status

    async def _connections(self, number: int) -> None:
        async def slow(begin: bytes, drip: bytes, pause: float) -> float:
            """Return the seconds until the server hangs up or answers."""
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            started = time.monotonic()
            writer.write(begin)
            with suppress(ConnectionError):
                while time.monotonic() - started < HANG_S:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1 << 16), pause)
                        break
                    writer.write(drip)
                    await writer.drain()
            writer.close()
            return time.monotonic() - started

        post = b"POST /v1/localize HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
        part = b'--edge\r\nContent-Disposition: form-data; name="photos"; filename="a"\r\n\r\n'
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        kinds = {
            "only opens": (b"", b"", 1.0),
            "half of a head": (post, b"", 1.0),
            "a slow head": (post, b"X: y\r\n", 1.0),
            "a head without end": (post, b"X: " + b"y" * 200 + b"\r\n", 0.001),
            "half of a body": (post + b"Content-Length: 500\r\n\r\n" + part, b"", 1.0),
            "a slow body": (post + b"Content-Length: 5000000\r\n\r\n" + part, b"x", 0.5),
            "a slow body in chunks": (post + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.5),
            "a body without end": (
                post + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (len(part), part),
                chunk,
                0.001,
            ),
            "a body without end, not wanted": (
                post.replace(b"/v1/localize", b"/v1/nothing") + b"Transfer-Encoding: chunked\r\n\r\n",
                chunk,
                0.001,
            ),
        }
        for name, words in kinds.items():
            taken = await asyncio.gather(*(slow(*words) for _ in range(number if words[2] > 0.01 else 4)))
            print(
                f"{len(taken)} connections with {name}: closed or answered after {min(taken):.1f} to {max(taken):.1f} s",
                flush=True,
            )
            if max(taken) >= HANG_S:
                self.findings.append(f"{name}: it is still open after {HANG_S:.0f} s")


async def _answer(reader: asyncio.StreamReader, hostile: Hostile) -> Answer:
    if hostile.data.startswith(b"HEAD"):
        head = await reader.readuntil(b"\r\n\r\n")
        return Answer(int(head.split()[1]), {}, b"")
    answer = await read_answer(reader)
    while answer.status < 200:  # go on
        answer = await read_answer(reader)
    return answer
