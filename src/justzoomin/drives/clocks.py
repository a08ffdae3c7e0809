"""Times of ROS messages."""

from __future__ import annotations

from typing import Any

from justzoomin.errors import DataError

LATEST_NS = (1 << 32) * 10**9


def time_of(message: Any, recorded_ns: int, where: str, *, recorded: bool = False) -> int:
    """Return the time of a message in nanoseconds: that of its header, unless it has none.

    Args:
        message: The message.
        recorded_ns: When it was recorded or received.
        where: Its name, for error texts.
        recorded: Whether the time of recording is wanted.

    Raises:
        DataError: If it is before 1970 or after 2106.
    """
    stamp = getattr(getattr(message, "header", None), "stamp", None)
    if recorded or stamp is None or (stamp.sec == 0 and stamp.nanosec == 0):
        time_ns = recorded_ns
    else:
        time_ns = int(stamp.sec) * 10**9 + int(stamp.nanosec)
    if not 0 <= time_ns < LATEST_NS:
        raise DataError(where, f"its time is {time_ns} ns", "Give --recorded to use the time of recording.")
    return time_ns
