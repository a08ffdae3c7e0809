"""Long fuzzing: `python tests/fuzz/run.py --minutes 60 --seed 1 [--target tar]`. docs/fuzzing.md says more.

Every target runs in a process of its own, in turns, so that one that dies or eats memory is a finding, not the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
CORPUS = HERE / "corpus"
MEMORY_BYTES = 6 << 30
STUCK_SECONDS = 90
TURN_SECONDS = 60
_BATCH = 200
_MEMORY_DISK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where each file is synced to nothing: ten times as many executions."""


def main() -> int:
    """Run the targets in turns until the time is over; 1 if anything was found."""
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="may be given several times; default: all")
    parser.add_argument("--save", type=Path, default=CORPUS, help="folder for inputs that break a law")
    chosen = parser.parse_args()
    names = chosen.target or list(TARGETS)
    end = time.monotonic() + 60 * chosen.minutes
    tally: dict[str, Counter[str]] = {name: Counter() for name in names}
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    turn = 0
    while time.monotonic() < end:
        for name in (*names[turn % len(names):], *names[:turn % len(names)]):
            seconds = min(TURN_SECONDS, 45 * chosen.minutes / len(names), end - time.monotonic())  # starting takes the rest
            if seconds > 0:
                _turn(name, chosen.seed + 1_000_003 * turn, seconds, tally[name], found[name], chosen.save / name)
        turn += 7
        _table(tally, found)
    for name, reasons in found.items():
        for reason, where in reasons.items():
            print(f"\n{name}: {where}\n{reason}")
    return 1 if any(found.values()) else 0


def _turn(name: str, seed: int, seconds: float, tally: Counter[str], found: dict[str, str], save: Path) -> None:
    """One process of one target; a process that dies or hangs leaves its last input behind."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_MEMORY_DISK) as folder:
        last, lines = Path(folder) / "last", Path(folder) / "lines"
        process = multiprocessing.get_context("spawn").Process(target=_work, args=(name, seed, seconds, folder), daemon=True)
        process.start()
        start = time.monotonic()
        while process.is_alive():
            process.join(1.0)
            silent = time.time() - last.stat().st_mtime if last.exists() else 0.0
            if silent > STUCK_SECONDS or time.monotonic() - start > seconds + 5 * STUCK_SECONDS:
                process.kill()
        tally["seconds"] += round(time.monotonic() - start)
        for line in lines.read_text().splitlines() if lines.exists() else []:
            entry = json.loads(line)
            if "counts" in entry:
                tally.update(entry["counts"])
            else:
                _keep(bytes.fromhex(entry["content"]), entry["reason"], found, save)
        if process.exitcode:
            tally["died"] += 1
            if last.exists():
                _keep(last.read_bytes(), f"the process ended with {process.exitcode}", found, save)
            else:
                print(f"{name}: its process ended with {process.exitcode} before the first input", flush=True)


def _keep(content: bytes, reason: str, found: dict[str, str], save: Path) -> None:
    """Save an input, one for each reason."""
    if reason not in found and len(found) < 50:
        save.mkdir(parents=True, exist_ok=True)
        path = save / (hashlib.sha256(content).hexdigest()[:16] + ".bin")
        path.write_bytes(content)
        found[reason] = str(path)
        print(f"FOUND {save.name} {path.name}: {reason.splitlines()[-1][:300]}", flush=True)


def _work(name: str, seed: int, seconds: float, folder: str) -> None:
    from fuzz_guard import check
    from fuzz_mutations import mutate, mutations
    from fuzz_targets import TARGETS
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["JZI_HOME"] = f"{folder}/home"
    os.environ["HF_HUB_OFFLINE"] = "1"
    target = TARGETS[name]
    seeds, counts, reasons = target.seeds(), Counter[str](), set[str]()
    place, last, lines = Path(folder) / "work", Path(folder) / "last", Path(folder) / "lines"
    os.chdir(folder)

    def once(drawn: tuple[int, list[tuple[int, int, int]], bool]) -> None:
        content = mutate(seeds, target.words, drawn[0], drawn[1])
        content = target.mend(content) if drawn[2] else content
        last.write_bytes(content)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        counts["executions"] += 1
        try:
            counts[check(target.run, content, place)] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            counts["broken"] += 1
            reason = _reason(error)
            if reason not in reasons:
                reasons.add(reason)
                with lines.open("a") as file:
                    file.write(json.dumps({"content": content.hex(), "reason": reason}) + "\n")

    end = time.monotonic() + seconds
    batch = 0
    while time.monotonic() < end:
        counts.clear()
        quiet = settings(max_examples=_BATCH, deadline=None, database=None, phases=[Phase.generate],
                         suppress_health_check=list(HealthCheck))
        seeded(seed + batch)(quiet(given(mutations())(once)))()
        batch += 1
        with lines.open("a") as file:
            file.write(json.dumps({"counts": counts}) + "\n")


def _reason(error: BaseException) -> str:
    """The kind of an error and where in the package it came from: what tells findings apart."""
    frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)
              if "justzoomin" in f.filename or "fuzz_" in f.filename]
    text = re.sub(r"[0-9]+", "#", str(error))[:100]
    if type(error).__name__ == "LawBroken":
        text = text.partition(":")[0]
    return f"{' < '.join(reversed(frames[-4:]))}\n{type(error).__name__}: {text}"


def _table(tally: dict[str, Counter[str]], found: dict[str, dict[str, str]]) -> None:
    print(f"\n{'target':<11}{'executions':>11}{'valid':>9}{'refused':>9}{'broken':>8}{'died':>6}{'seconds':>9}{'findings':>10}")
    for name, counts in tally.items():
        print(f"{name:<11}" + "".join(f"{counts[key]:>{width}}" for key, width in (
            ("executions", 11), ("valid", 9), ("refused", 9), ("broken", 8), ("died", 6), ("seconds", 9)))
            + f"{len(found[name]):>10}")
    total = sum(c["executions"] for c in tally.values())
    print(f"{total} executions in {sum(c['seconds'] for c in tally.values()) / 3600:.2f} h", flush=True)


if __name__ == "__main__":
    sys.exit(main())
