"""What to do when the hub fails: which failures are worth another try, how long to wait, and what to tell the user."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from justzoomin.errors import DataError

TRANSPORT: type[Exception] = HfHubHTTPError.__mro__[1]
"""What the hub client's HTTP library raises when a connection fails; the client's version decides which library it is."""
_TRANSIENT = {408, 425, 429}
_LONGEST_ASKED_S = 900.0
_RESET = re.compile(r"\br=0\b.*?\bt=(\d+)")
_AGAIN = "Run the same command again: it continues where it stopped."

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """What to do after a failure that may be temporary.

    Args:
        tries: Tries without any progress before giving up.
        first_s: Pause after the first failure, in seconds; each further failure doubles it.
        most_s: The longest pause in seconds. A pause that the hub asks for is respected up to 15 minutes.
        sleep: Function that waits.
        notice: Called with a message that says what failed and how long the pause is.
    """

    tries: int = 6
    first_s: float = 1.0
    most_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    notice: Callable[[str], None] = lambda text: None

    def wait(self, error: Exception, failures: int, where: str) -> None:
        """Pause after a failure.

        Args:
            error: What happened.
            failures: How many failures there were in a row, including this one.
            where: The file or repository, for the error.

        Raises:
            DataError: If another try is pointless, or there were enough of them.
        """
        if not _passing(error):
            raise explain(error, where) from error
        asked = asked_pause(error)
        if failures >= self.tries or (asked or 0.0) > _LONGEST_ASKED_S:
            raise explain(error, where, asked) from error
        pause = min(self.most_s, self.first_s * 2.0 ** (failures - 1)) if asked is None else asked
        self.notice(f"{where}: {brief(error)}; next try in {pause:g} s")
        self.sleep(pause)


def with_retries(action: Callable[[], T], retry: Retry, where: str) -> T:
    """Call a function that uses the hub, and call it again after temporary failures.

    Raises:
        DataError: If it fails for good.
    """
    failures = 0
    while True:
        try:
            return action()
        except (TRANSPORT, OSError) as error:
            failures += 1
            retry.wait(error, failures, where)


def _status(error: Exception) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _passing(error: Exception) -> bool:
    """Return whether the failure may be temporary."""
    status = _status(error)
    if status is not None:
        return status in _TRANSIENT or status >= 500
    if isinstance(error, OfflineModeIsEnabled):
        return False
    return isinstance(error, (TRANSPORT, ConnectionError, TimeoutError))


def asked_pause(error: Exception) -> float | None:
    """Return the pause in seconds that `Retry-After` (seconds or a date) or `RateLimit` asks for, or None."""
    if not isinstance(error, HfHubHTTPError):
        return None
    headers = error.response.headers
    text = str(headers.get("Retry-After", "")).strip()
    if text.isdigit():
        return float(text)
    if text:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    limit = _RESET.search(str(headers.get("RateLimit", "")))
    return float(limit[1]) if limit and error.response.status_code == 429 else None


def brief(error: Exception) -> str:
    """Describe a failure in a few words."""
    status = _status(error)
    if status is not None:
        return {429: "the hub answers 429, too many requests"}.get(status, f"the hub answers {status}")
    return " ".join(str(error).split())[:160] or type(error).__name__


def explain(error: Exception, where: str, asked: float | None = None) -> DataError:
    """Turn a permanent failure into an error with a remedy."""
    if isinstance(error, OfflineModeIsEnabled):
        return DataError(where, "the network is needed, but HF_HUB_OFFLINE is set", "Unset HF_HUB_OFFLINE and run again.")
    if isinstance(error, GatedRepoError):
        return DataError(where, "this account has not accepted the repository's conditions",
                         "Accept them on its page, log in with `hf auth login`, and run again.")
    if isinstance(error, RevisionNotFoundError):
        return DataError(where, "the repository has no such revision",
                         "Check --revision. If the commit of the download is gone, take the current one with --update.")
    if isinstance(error, RepositoryNotFoundError):
        return DataError(where, "the hub has no such dataset repository, or this account may not see it",
                         "Check --repo-id; for a private repository log in with `hf auth login`.")
    if isinstance(error, RemoteEntryNotFoundError):
        return DataError(where, "the hub has no such file", "Run again with --update.")
    status = _status(error)
    if status in {401, 403}:
        return DataError(where, f"the hub refuses access ({status})", "Log in with `hf auth login`, or check the token.")
    if asked is not None and asked > _LONGEST_ASKED_S:
        return DataError(where, f"{brief(error)} and asks for a pause of {asked:.0f} s", f"Wait that long. {_AGAIN}")
    if status is not None:
        return DataError(where, brief(error), _AGAIN if _passing(error) else "Check the name, the revision and HF_ENDPOINT.")
    return DataError(where, f"the hub at {constants.ENDPOINT} cannot be reached, or the connection broke ({brief(error)})",
                     f"Check the network and HF_ENDPOINT. {_AGAIN}")
