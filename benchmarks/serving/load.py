"""Many clients for long: answers are checked, some clients leave, a job runs beside, and at the end the server is killed."""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from serving.server import Server
from serving.truth import difference, localize_request
from serving.wire import Answer, Connection, form, request

SAMPLE_S = 2.0
_WAIT_S = 300.0


@dataclass
class Tally:
    """What happened to the requests."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    def text(self, seconds: float) -> str:
        """Return the figures of some seconds."""
        rate = self.counts["answered"] / seconds
        lines = [
            ", ".join(f"{name} {number}" for name, number in sorted(self.counts.items())),
            f"{rate:.1f} photos/s of clients",
        ]
        if len(self.seconds) > 1:
            cut = statistics.quantiles(self.seconds, n=100)
            lines.append(f"seconds to an answer: median {cut[49]:.1f}, 99 % {cut[98]:.1f}, longest {max(self.seconds):.1f}")
        if self.waiting:
            mean = statistics.mean(self.waiting)
            lines.append(
                f"photos that wait: mean {mean:.0f}, most {max(self.waiting)}; mean divided by the rate {mean / rate:.1f} s"
            )
        if len(self.memory_mb) > 4:
            times, sizes = np.array(self.memory_mb[len(self.memory_mb) // 2 :]).T
            slope = np.polyfit(times, sizes, 1)[0] * 60.0
            lines.append(
                f"memory: {self.memory_mb[0][1]:.0f} MB at the start, {sizes.min():.0f} to {sizes.max():.0f} MB in the "
                f"second half, slope there {slope:+.2f} MB a minute"
            )
        return "\n".join([*lines, f"{len(self.wrong)} wrong or lost", *self._kinds()])

    def _kinds(self) -> list[str]:
        """Return the number of complaints of each kind, with an example."""
        kinds = Counter(re.sub(r"[0-9.]+", "N", words)[:60] for words in self.wrong)
        return [f"WRONG {number} x {kind}" for kind, number in kinds.most_common(20)]


class Load:
    """Clients of a server.

    Args:
        server: The server.
        photos: The photos.
        right: The right answer of each.
        leaving: Share of requests that the client does not wait for.
    """

    def __init__(self, server: Server, photos: list[Path], right: list[dict[str, Any]], leaving: float) -> None:
        self.server, self.right, self.leaving = server, right, leaving
        self.tally = Tally()
        self.requests = [localize_request(photo.read_bytes(), photo.name) for photo in photos]
        self.job = request("POST", "/v1/jobs", form([("photos", photo.name, photo.read_bytes()) for photo in photos]))
        self.ended = False
        self.dying = False
        self.job_at = 0, 0

    async def run(self, clients: int, seconds: float) -> None:
        """Ask for some seconds, then wait until everything is answered."""
        started = time.monotonic()
        sampling = asyncio.create_task(self._sample(started))
        jobs = asyncio.create_task(self._jobs())
        asking = [asyncio.create_task(self._client(number)) for number in range(clients)]
        await asyncio.sleep(seconds)
        self.ended = True
        await asyncio.gather(*asking, jobs)
        sampling.cancel()
        print(f"{clients} clients, {time.monotonic() - started:.0f} s")
        print(self.tally.text(time.monotonic() - started), flush=True)

    async def _client(self, number: int) -> None:
        dice, connection = random.Random(number), Connection(self.server.port)
        while not self.ended:
            which = dice.randrange(len(self.requests))
            if dice.random() < self.leaving:
                await self._leave(connection, which, dice)
            else:
                await self._until_answered(connection, which)
        connection.close()

    async def _until_answered(self, connection: Connection, which: int) -> None:
        """Ask until there is an answer, as a patient client does; only a server that was killed is asked again at once."""
        for _ in count():
            started = time.monotonic()
            answer = await self._answer(connection, self.requests[which])
            if answer is None:
                continue
            if answer.status == 503 and answer.headers.get("retry-after", "").isdigit():
                self.tally.counts["503 with Retry-After"] += 1
                connection.close()  # the server closes what is idle for longer than 30 s
                await asyncio.sleep(float(answer.headers["retry-after"]))
                continue
            if answer.status != 200:
                self.tally.wrong.append(f"{answer.status} {answer.body[:200]!r}")
                return
            self.tally.seconds.append(time.monotonic() - started)
            self.tally.counts["answered"] += 1
            wrong = difference(json.loads(answer.body)[0], self.right[which])
            if wrong:
                self.tally.wrong.append(f"{self.right[which]['photo']}: {wrong}")
            return

    async def _answer(self, connection: Connection, asked: bytes) -> Answer | None:
        """Return an answer; None if the server was killed meanwhile."""
        try:
            return await asyncio.wait_for(connection.ask(asked), _WAIT_S)
        except TimeoutError:
            self.tally.wrong.append(f"no answer within {_WAIT_S:.0f} s")
        except OSError as error:
            if not self.dying:
                self.tally.wrong.append(f"lost: {type(error).__name__} {error}")
            self.tally.counts["tries while the server was down"] += self.dying
            await asyncio.sleep(0.5)
        return None

    async def _leave(self, connection: Connection, which: int, dice: random.Random) -> None:
        """Send a request or a part of it, and hang up after a while."""
        asked = self.requests[which]
        with suppress(OSError):
            await connection.send_only(asked if dice.random() < 0.5 else asked[: dice.randrange(len(asked))])
            await asyncio.sleep(2.0 * dice.random())
        connection.close()
        self.tally.counts["left"] += 1

    async def _jobs(self) -> None:
        """Send one job after the other, and check all their answers."""
        connection = Connection(self.server.port)
        while not self.ended:
            sent = await self._answer(connection, self.job)
            if sent is not None and sent.status == 202:
                await self._until_done(connection, json.loads(sent.body)["id"])
        connection.close()

    async def _until_done(self, connection: Connection, job: str) -> None:
        while True:
            await asyncio.sleep(1.0)
            told = await self._answer(connection, request("GET", f"/v1/jobs/{job}"))
            if told is None:
                continue
            state = json.loads(told.body)
            self.job_at = state.get("done", 0), state.get("total", 0)
            if told.status != 200 or state["state"] not in {"waiting", "running"}:
                break
        if told.status != 200 or state["state"] != "done" or state["failed"]:
            self.tally.wrong.append(f"job: {told.status} {told.body[:300]!r}")
            return
        result = await self._answer(connection, request("GET", f"/v1/jobs/{job}/result.jsonl"))
        rows: Iterator[str] = iter(()) if result is None else iter(result.body.decode().splitlines())
        found = [json.loads(row) for row in rows]
        if len(found) != len(self.right):
            self.tally.wrong.append(f"job: {len(found)} answers of {len(self.right)}")
        for row, right in zip(found, self.right, strict=False):
            wrong = difference(row, right)
            if wrong:
                self.tally.wrong.append(f"job, {right['photo']}: {wrong}")
        self.tally.counts["jobs done"] += 1

    async def _sample(self, started: float) -> None:
        connection = Connection(self.server.port)
        for turn in count():
            await asyncio.sleep(SAMPLE_S)
            with suppress(OSError):
                self.tally.memory_mb.append((time.monotonic() - started, self.server.memory_mb()))
                if turn % 5 == 0:
                    told = await connection.ask(request("GET", "/readyz"))
                    self.tally.waiting.append(int(json.loads(told.body).get("waiting", 0)))


def kill_midway(load: Load, start: Any, clients: int) -> Server:
    """Kill a server under load with a job begun, start another one, and wait until everything is answered.

    Args:
        load: The clients, with their server.
        start: Starts a server with the same folder of jobs, given a port.
        clients: Number of clients.

    Returns:
        The new server.
    """
    port = load.server.port

    async def killed() -> None:
        running = asyncio.create_task(load.run(clients, 45.0))
        await asyncio.sleep(8.0)
        for _ in range(300):  # until a job is in its midst
            if 0 < load.job_at[0] < load.job_at[1]:
                break
            await asyncio.sleep(0.1)
        print(f"killed while a job had {load.job_at[0]} of {load.job_at[1]} photos", flush=True)
        load.dying = True
        load.server.kill()
        load.server = await asyncio.to_thread(start, port)
        await asyncio.sleep(2.0)
        load.dying = False
        await running

    asyncio.run(killed())
    return load.server
