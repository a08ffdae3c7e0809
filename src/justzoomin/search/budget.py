"""How long a search for poses goes on; see `tree_search`."""

from __future__ import annotations

from dataclasses import dataclass

BUDGET = 64
"""Most tiles that are scored at the finest level for one photo."""
UNSEEN = 1e-3
"""A search ends when the tiles that it did not look at hold less mass than this."""


@dataclass(frozen=True)
class Budget:
    """How long a search goes on.

    Attributes:
        tiles: Most tiles that are scored on the next finer level, for one photo and level.
        unseen: Share of the mass in other tiles below which it ends.
        temperature: Divisor of log-masses by which a calibration will flatten the result. Masses are compared after it:
            a rough level spreads what a fine one finds in few cells, and flattening counts the former more.
    """

    tiles: int = BUDGET
    unseen: float = UNSEEN
    temperature: float = 1.0


EVERYTHING = Budget(1 << 40, 0.0)
"""The full search: every tile at the finest level."""
CLOSE = Budget(1 << 8, 0.0)
"""The search for figures to fit to: the full one up to 1.28 km."""
