"""What a run on broken input may do: give a result or an error of ours, soon, and write nowhere but into its folder."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from justzoomin.errors import JustZoomInError

SECONDS = 10.0
"""No input of a megabyte may take more time of the processors than this. A busy machine does not make it longer."""
WAITING_SECONDS = 90.0
"""Nor may it wait longer than this for anything."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {"os.mkdir": 1, "os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1,
             "os.chmod": 1, "shutil.rmtree": 1}


@dataclass
class _Watch:
    """What the audit hook, which cannot be taken out again, looks at."""

    allowed: Path | None = None
    outside: list[str] = field(default_factory=list)
    installed: bool = False


_watch = _Watch()


class LawBroken(Exception):  # noqa: N818
    """Input that did more than it may."""


def check(run: Callable[[bytes, Path], None], content: bytes, folder: Path) -> str:
    """Run on input; return `valid` or `refused`.

    Raises:
        LawBroken: If something was written outside the folder or it took too long.
        BaseException: What the run raised, unless it was an error of ours with words for the reader.
    """
    _install()
    _watch.outside.clear()
    start, worked = time.monotonic(), _processor_seconds()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _watch.allowed = folder.resolve()
            run(content, folder)
        outcome = "valid"
    except JustZoomInError as error:
        if not (error.where and error.what and error.remedy.endswith((".", "?"))):
            raise LawBroken(f"an error without words: {error.args}") from error
        if len(str(error)) > 20_000 or any(ord(c) < 32 and c not in "\n\t" for c in str(error)):
            raise LawBroken(f"an error that cannot be printed: {str(error)[:300]!r}") from error
        outcome = "refused"
    finally:
        _watch.allowed = None
    if _watch.outside:
        raise LawBroken(f"it touched {_watch.outside[:5]} outside its folder")
    worked, waited = _processor_seconds() - worked, time.monotonic() - start
    if worked > SECONDS or waited > WAITING_SECONDS:
        raise LawBroken(f"it took {worked:.1f} s of the processors, {waited:.1f} s in all")
    return outcome


def _processor_seconds() -> float:
    """Time of the processors that this process and its ended children have used."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _install() -> None:
    if not _watch.installed:
        sys.addaudithook(_hook)
        _watch.installed = True


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _watch.allowed is None:
        return
    if event == "open" and isinstance(args[0], str | bytes) and _writes(args[1], args[2]):
        _note(event, args[0])
    elif event in _CHANGING:
        for path in args[:_CHANGING[event]]:
            _note(event, path)
    elif event in {"os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect"} \
            and (not args or args[0] != sys.executable):  # Parquet is tried in a Python of its own
        _watch.outside.append(f"{event} {args!r:.200}")


def _writes(mode: object, flags: object) -> bool:
    return bool(isinstance(flags, int) and flags & _WRITING) or (isinstance(mode, str) and any(c in mode for c in "wax+"))


def _note(event: str, path: object) -> None:
    if isinstance(path, str | bytes | os.PathLike):
        full = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100  # a link that leads out is what is looked for
        if full != Path(os.devnull) and not full.is_relative_to(_watch.allowed or "/"):
            _watch.outside.append(f"{event} {full}")
