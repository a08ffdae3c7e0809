"""What a command of the command line leaves, and how to look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be JSON and nothing else."""
        return json.loads(self.out)

    def refusal(self) -> str:
        """The one line that a refused command prints, after checking that it is one, and that there is nothing else."""
        assert (self.code, self.out) == (1, ""), (self.code, self.out, self.err)
        lines = [line for line in self.err.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: "), self.err
        assert lines[0].endswith("."), self.err
        return lines[0]


Jzi = Callable[..., Ran]
