"""Every comparison, one after the other, written to docs/benchmarks.md: `make bench`.

Some of them, printed and not written: `python benchmarks/run.py --only views step`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from timing import Row, Section

NAMES = ("views", "photos", "step", "localize", "small_machines", "growth")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_PACKAGES = ("torch", "transformers", "numpy", "opencv-python-headless", "simplejpeg", "pillow", "tiledwebmaps", "onnxruntime",
             "faiss-cpu")


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    chosen = parser.parse_args().only
    started = time.perf_counter()
    sections, seconds = [], []
    for name in chosen:
        begin = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            section = importlib.import_module(name).run(Path(folder))
        sections.append((name, section))
        seconds.append(time.perf_counter() - begin)
        for row in section.rows:
            print("  " + row.text(), flush=True)
        print(f"  {seconds[-1]:.0f} s", file=sys.stderr, flush=True)
    total = time.perf_counter() - started
    if tuple(chosen) == NAMES:
        PAGE.write_text(page(sections, total), encoding="utf-8")
        print(f"{PAGE}: written after {total:.0f} s")


def page(sections: list[tuple[str, Section]], seconds: float) -> str:
    """Return the page as Markdown."""
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in _PACKAGES)
    lines = [
        "# Benchmarks", "",
        "After this page you can quote how much faster than the published way each part is.",
        "`make bench` writes it; do not edit.",
        "Rivals were timed alternately in one run, so that other work on the machine affected both;",
        "figures are medians, and the ratio says how many times better ours is. Absolute figures are those of this",
        "machine.",
        "",
        f"Machine: {_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()}, no GPU used. "
        f"Python {platform.python_version()}, {versions}. The whole run took {seconds / 60:.0f} minutes.", ""]
    for name, section in sections:
        lines += [f"## {section.title}", "", f"`python benchmarks/run.py --only {name}`", "",
                  "| what | ours | rival | ratio | wanted | floor |", "|---|---|---|---|---|---|"]
        notes = [row.note for row in section.rows]
        shared = [note for note in dict.fromkeys(notes) if note and notes.count(note) > 1]  # said once, below the table
        lines += [_line(row, shared) for row in section.rows]
        remarks = [f"({place}) {note}." for place, note in enumerate(shared, 1)] + section.remarks
        lines += [""] + [line for remark in remarks for line in (remark, "")]
    return "\n".join(lines).rstrip() + "\n"


def _line(row: Row, shared: list[str]) -> str:
    wanted = "" if row.wanted is None else f"{row.wanted:g} x, {'met' if row.ratio >= row.wanted else '**missed**'}"
    floor = "" if row.floor is None else f"{row.floor_is}: {_number(row.floor)} {row.unit}"
    note = f"{shared.index(row.note) + 1}" if row.note in shared else row.note
    what = row.what + (f" ({note})" if note else "")
    return (f"| {what} | {_number(row.ours)} {row.unit} | {row.rival}: {_number(row.theirs)} {row.unit} | {row.ratio:.2f} x "
            f"| {wanted} | {floor} |")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


if __name__ == "__main__":
    main()
