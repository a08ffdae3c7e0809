"""How the output of a long job gets its name: only if no other file has it, and in a way that survives a kill at any moment.

The output is written into the job's work folder. Before it gets its name, `ended.json` in that folder records the output (its
size and time of change, which a link or a renaming keeps) and the job. If a later run finds both again, the job is done.
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
        job: Text that identifies the job: equal for equal jobs.

    Raises:
        DataError: If a file that this job did not write has the output's name.
    """

    def __init__(self, work: Path, out: Path, job: str) -> None:
        self._work, self._out, self._job = work, out, job
        if out.exists() and self.facts() is None:
            if work.is_dir() and is_free(work):  # left by a job that was killed at its last step
                shutil.rmtree(work, ignore_errors=True)
            raise DataError(out, "the file exists already",
                            "If this command wrote it, the job is done. Otherwise remove it, or name another file.")

    def facts(self) -> dict[str, Any] | None:
        """Return the recorded facts about the output if the job has ended and the output exists, otherwise None."""
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
            facts: Facts about the output, for a later run that finds the job ended.

        Raises:
            DataError: If another file has taken the name meanwhile.
            OSError: If the output cannot be written.
        """
        write_json({"job": self._job, "file": _stamp(result), "facts": facts}, self._work / _ENDED)
        appeared = DataError(self._out, "a file of this name appeared while the job ran",
                             "Move it away and run the same command again. Finished photos are not localized again.")
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
        """Remove the work folder, the record that the job has ended last."""
        remove_work(self._work, _ENDED)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
