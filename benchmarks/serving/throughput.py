"""Photos a second over HTTP against the same in process, in turns."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from justzoomin.search import Localizer
from serving.server import Server
from serving.truth import answers_of, difference, localize_request
from serving.wire import Connection


def measure(server: Server, localizer: Localizer, photos: list[Path], clients: int, each: int, rounds: int) -> None:
    """Localize photos by both ways in turns; print rates, their ratio, and processor time of each.

    Args:
        server: The server.
        localizer: Its rival in this process, with the same model, map and threads.
        photos: The photos.
        clients: Clients that ask at once, one photo at a time.
        each: Photos of a round.
        rounds: Rounds that count.
    """
    right = answers_of(localizer, photos)
    requests = [localize_request(photo.read_bytes(), photo.name) for photo in photos]
    ours: list[tuple[float, float, float]] = []
    theirs: list[tuple[float, float]] = []
    for number in range(-1, rounds):
        for turn in (0, 1) if number % 2 else (1, 0):
            if turn:
                before, own = server.processor_s(), time.process_time()
                taken = asyncio.run(_ask(server.port, islice(cycle(zip(requests, right, strict=True)), each), clients))
                ours.append((taken, server.processor_s() - before, time.process_time() - own))
            else:
                started, own = time.perf_counter(), time.process_time()
                list(localizer.localize_many(islice(cycle(photos), each)))
                theirs.append((time.perf_counter() - started, time.process_time() - own))
    wall, processor, client = (statistics.median(column) / each for column in zip(*ours[1:], strict=True))
    their_wall, their_processor = (statistics.median(column) / each for column in zip(*theirs[1:], strict=True))
    print(
        f"server, {clients} clients: {1 / wall:.1f} photos/s, {1e3 * processor:.1f} ms of the processors a photo "
        f"(clients {1e3 * client:.1f} ms)"
    )
    print(f"Localizer.localize_many: {1 / their_wall:.1f} photos/s, {1e3 * their_processor:.1f} ms of the processors a photo")
    print(
        f"ratio of rates {their_wall / wall:.2f}, of processor time {their_processor / processor:.2f} "
        f"({rounds} rounds of {each} photos, medians)"
    )
    batches = [line for line in server.get("/metrics").decode().splitlines() if line.startswith("jzi_batch_photos_")]
    sums = {line.split()[0]: float(line.split()[1]) for line in batches if "bucket" not in line}
    print(f"mean batch {sums['jzi_batch_photos_sum'] / sums['jzi_batch_photos_count']:.1f} photos")


async def _ask(port: int, work: Iterator[tuple[bytes, dict[str, object]]], clients: int) -> float:
    """Send all requests, several at once; return the seconds. Answers are compared afterwards."""
    found: list[tuple[bytes, dict[str, object]]] = []

    async def client(connection: Connection) -> None:
        for request, right in work:
            answer = await connection.ask(request)
            if answer.status != 200:
                raise RuntimeError(f"{answer.status}: {answer.body[:300]!r}")
            found.append((answer.body, right))
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(client(Connection(port)) for _ in range(clients)))
    taken = time.perf_counter() - started
    for body, right in found:
        wrong = difference(json.loads(body)[0], right)
        if wrong:
            raise RuntimeError(f"{right['photo']}: {wrong}")
    return taken
