"""How the output of a long job gets its name: only where no other file has it, and so that a kill at any moment is understood.

The output is written into the job's work folder. Before it gets its name, `ended.json` there says what it is (size and time of
change, which a link or a renaming keeps) and for which job. Found again beside that very file, it means that the job is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from justzoomin.errors import DataError
from justzoomin.files import is_free, remove_work, sync_folder, write_json
from justzoomin.untrusted import read_limited

_ENDED = "ended.json"
_MAX_BYTES = 1 << 16


class Ending:
    """The end of one job.

    Args:
        work: The job's folder, beside the output.
        out: The output.
        job: What makes two jobs the same, as text.

    Raises:
        DataError: If another file than this job's has the output's name.
    """

    def __init__(self, work: Path, out: Path, job: str) -> None:
        self._work, self._out, self._job = work, out, job
        if out.exists() and self.facts() is None:
            if work.is_dir() and is_free(work):  # what a job leaves that is killed in its very last moment
                shutil.rmtree(work, ignore_errors=True)
            raise DataError(out, "the file exists already",
                            "If this command wrote it, the job is done. Otherwise remove it, or name another file.")

    def facts(self) -> dict[str, Any] | None:
        """What was said of the output, if the job has ended and the output is there; else None."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            values = json.loads(read_limited(self._work / _ENDED, _MAX_BYTES))
            if isinstance(values, dict) and values.get("job") == self._job and values.get("file") == _stamp(self._out):
                facts: dict[str, Any] = values["facts"]
                return facts
        return None

    def publish(self, result: Path, facts: dict[str, Any]) -> None:
        """Give a finished file in the work folder the output's name.

        Args:
            result: The file.
            facts: What is to be said of it, where the job is found to have ended.

        Raises:
            DataError: If another file has got the name meanwhile.
            OSError: If it cannot be written.
        """
        write_json({"job": self._job, "file": _stamp(result), "facts": facts}, self._work / _ENDED)
        appeared = DataError(self._out, "a file of this name appeared while the job ran",
                             "Move it away and run the same command again: what is done is not done again.")
        try:
            os.link(result, self._out)
        except FileExistsError as error:
            raise appeared from error
        except OSError as error:  # a file system without hard links
            if self._out.exists():
                raise appeared from error
            result.replace(self._out)
        sync_folder(self._out.parent)

    def clear(self) -> None:
        """Remove the work folder; what says that the job has ended goes last."""
        remove_work(self._work, _ENDED)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
