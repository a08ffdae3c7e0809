"""Localizers for what clients ask for: the same for the same settings, so that their photos are answered together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from justzoomin.data import CameraSource
from justzoomin.posterior import Prior
from justzoomin.search import HeadingSource, Localizer

_KEPT = 64


@dataclass(frozen=True)
class Asked:
    """What a client asks for.

    Attributes:
        key: A text that is the same for the same settings only.
        search: See `Localizer`.
        decision: See `Localizer`.
        prior: Where the photo may have been taken.
        headings: What is known of its heading.
        cameras: What is known of its camera.
    """

    key: str = ""
    search: str = "auto"
    decision: str | None = None
    prior: Prior | None = None
    headings: HeadingSource | None = None
    cameras: CameraSource | None = None


class Variants:
    """Localizers that share one model and one map.

    Args:
        base: The localizer without any settings.
    """

    def __init__(self, base: Localizer) -> None:
        self.base = base
        self._kept: OrderedDict[str, Localizer] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, asked: Asked) -> Localizer:
        """Return the localizer for some settings.

        Raises:
            ConfigError: If the settings are wrong, or the model cannot use them.
            GeometryError: If the prior excludes every cell.
        """
        if not asked.key:
            return self.base
        with self._lock:
            if asked.key in self._kept:
                self._kept.move_to_end(asked.key)
                return self._kept[asked.key]
        made = self.base.asking(search=asked.search, decision=asked.decision, prior=asked.prior, headings=asked.headings,
                                cameras=asked.cameras)
        with self._lock:
            made = self._kept.setdefault(asked.key, made)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made
