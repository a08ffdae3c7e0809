"""Whether training and search work on this machine's GPU: every preset, two number formats, an index, a region of 10 km.

    python benchmarks/gpu_check.py                            # at most eight minutes, on a machine with a GPU: `make gpu-check`
    python benchmarks/gpu_check.py --device cpu --steps 3     # a try of the script itself, without a GPU

Each part runs in a process of its own with a time limit: a part that fails, hangs or crashes does not stop the others.
A table is printed at the end, written as JSON, and written into docs/gpu.md (from a GPU only). The exit code is 0 if everything
passed, 1 if something failed, and 2 if there is no GPU.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import lightning
import torch
import transformers

from gpu_parts import PRESETS, Part, Row, Sizes, parts

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gpu.md"
BEGIN, END = "<!-- gpu-check: begin -->", "<!-- gpu-check: end -->"
MINUTES = 8.0
_ENDING_S = 10.0
"""Seconds that are left for the table."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=50, help="steps of each training")
    parser.add_argument("--photos", type=int, default=160, help="training photos of the town")
    parser.add_argument("--town-m", type=float, default=160.0, help="edge of the town in metres")
    parser.add_argument("--depth", type=int, default=3, help="levels of the town's grid")
    parser.add_argument("--km", type=float, default=10.0, help="edge of the large region in kilometres")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="most minutes of all parts together; the limit of each "
                        "part grows with it")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--json", type=Path, default=Path("gpu-check.json"), help="file of the figures")
    parser.add_argument("--page", type=Path, help="page with the markers of the table; docs/gpu.md for a GPU")
    asked = parser.parse_args()
    began = time.monotonic()
    sizes = Sizes(asked.device, asked.steps, asked.photos, asked.town_m, asked.depth, asked.km)
    patience = asked.minutes / MINUTES
    asks_gpu = sizes.device == "cuda" and torch.version.cuda is not None
    machine = next(_in_child(Part("machine", 60, _machine), Path(), sizes, 60 * patience) if asks_gpu else
                   _machine(Path(), sizes))
    if not machine.passed:
        print(machine.found, file=sys.stderr)
        sys.exit(2)
    print(machine.found, flush=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        for part in parts(tuple(asked.presets)):
            left = 60 * asked.minutes - (time.monotonic() - began) - _ENDING_S
            if left < 1:
                rows.append(Row(part.name, "all of it", "", False, f"not run: the {asked.minutes:g} minutes were over", 0.0))
                continue
            for row in _in_child(part, Path(folder), sizes, min(part.limit_s * patience, left)):
                rows.append(row)
                print(f"{'ok    ' if row.passed else 'FAILED'} {row.part}: {row.what} {row.precision}: {row.found} "
                      f"({row.seconds:.1f} s)", flush=True)
    seconds = time.monotonic() - began
    passed = sum(row.passed for row in rows)
    table = _table(rows, machine.found, seconds)
    print(f"\n{table}")
    asked.json.write_text(json.dumps({"machine": machine.found, "seconds": seconds, "passed": passed == len(rows),
                                      "settings": asdict(sizes), "rows": [asdict(row) for row in rows]}, indent=2) + "\n",
                          encoding="utf-8")
    page = asked.page or (PAGE if sizes.device != "cpu" else None)
    if page is not None:
        write_page(page, table)
    sys.exit(0 if passed == len(rows) else 1)


def _in_child(part: Part, folder: Path, sizes: Sizes, limit_s: float) -> Iterator[Row]:
    """Yield the rows of a part that runs in a process of its own, and a row that says so if it ends early."""
    # A forked process cannot use a GPU if its parent has asked for it, as libraries may when they are loaded.
    context: Any = multiprocessing.get_context("fork" if sizes.device == "cpu" else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    child, began = context.Process(target=_work, args=(theirs, part, folder, sizes)), time.monotonic()
    child.start()
    theirs.close()
    over = False
    with suppress(EOFError):  # the part has ended
        while True:
            over = not ours.poll(max(0.0, limit_s - (time.monotonic() - began)))
            if over:
                break
            yield ours.recv()
    if over:
        child.kill()
    child.join()
    seconds = time.monotonic() - began
    if over:
        yield Row(part.name, "all of it", "", False, f"stopped: it took longer than {limit_s:.0f} s", seconds)
    elif child.exitcode:
        yield Row(part.name, "all of it", "", False, f"its process ended with code {child.exitcode}; see its output", seconds)


def _work(pipe: Connection, part: Part, folder: Path, sizes: Sizes) -> None:
    try:
        for row in part.run(folder, sizes):
            pipe.send(row)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    pipe.close()


def _machine(folder: Path, sizes: Sizes) -> Iterator[Row]:
    """Yield what the check runs on; it has not passed if there is no GPU."""
    yield _machine_row(sizes.device)


def _machine_row(device: str) -> Row:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", lightning.__name__,
                                                                                 transformers.__name__))
    words = f"Python {platform.python_version()}, {versions}"
    if device == "cpu":
        return Row("machine", "", "", True, f"CPU, {os.cpu_count()} cores; {words}", 0.0)
    if torch.cuda.is_available():
        known = torch.cuda.get_device_properties(0)
        return Row("machine", "", "", True,
                   f"{known.name}, {known.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}; {words}", 0.0)
    built = torch.version.cuda
    why, remedy = (("this torch is built without CUDA", "Install a torch wheel with CUDA, see https://pytorch.org/get-started.")
                   if built is None else
                   (f"torch is built for CUDA {built}, but sees no GPU", "Check the driver with nvidia-smi."))
    return Row("machine", "", "", False, f"no GPU found: {why} ({words}). {remedy} To try the script itself without a GPU: "
               "python benchmarks/gpu_check.py --device cpu --steps 3", 0.0)


def _table(rows: list[Row], machine: str, seconds: float) -> str:
    """Return the table as Markdown."""
    passed = sum(row.passed for row in rows)
    lines = [f"{passed} of {len(rows)} rows passed in {seconds / 60:.1f} minutes on {machine}.", "",
             "| part | what | precision | passed | found | seconds |", "|---|---|---|---|---|---|"]
    lines += [f"| {row.part} | {row.what} | {row.precision} | {'yes' if row.passed else '**no**'} | "
              f"{row.found.replace('|', '/')} | {row.seconds:.1f} |" for row in rows]
    return "\n".join(lines)


def write_page(page: Path, table: str) -> None:
    """Put a table between the markers of a page."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{page}: the markers {BEGIN} and {END} are missing. Put both on lines of their own.")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
