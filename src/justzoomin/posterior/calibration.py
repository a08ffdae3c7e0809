"""Calibration: what makes a model's probabilities hold, fitted on held-out training photos and kept beside the model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from justzoomin.errors import ModelError
from justzoomin.files import write_json
from justzoomin.geometry import ZoomGrid
from justzoomin.posterior.lattices import Floats
from justzoomin.posterior.normalizing import finite, log_sum
from justzoomin.posterior.offmap import MEASURES, on_map_score
from justzoomin.untrusted import printable, read_limited

FORMAT = "justzoomin-calibration/2"
CALIBRATION_FILE = "calibration.json"
MAX_BYTES = 1 << 20
_REMEDY = "Calibrate again: jzi calibrate MODEL --data ROOT --split SPLIT."
_MAX_STEPS = 62


@dataclass(frozen=True)
class Calibration:
    """How a model's posterior becomes one whose claims hold.

    Attributes:
        model: Fingerprint of the model it was fitted for.
        split: Hash of the held-out photos (`hash_records`).
        photos: Number of them.
        temperatures: Divisors of each step's log-probabilities; one for a family that scores cells alone.
        tails: Probabilities, one a step, below which an action is believed less than it says: training with smoothed
            labels gives every action a little that no photo bears out. See `step_log_probs`.
        off_map_measure: What `on_map` looks at, one of `MEASURES`.
        off_map_threshold: The least value of a photo that counts as on the map.
        off_map_kept: Share of the held-out photos that reach it.
        figures: Likelihood, calibration errors and coverage of the photos that it was fitted on, `before` and `after`.
        look: What the region of these photos looks like (`region_look`); None where that is not recorded. What is claimed
            holds for photos of that map alone, and on another one every photo may look foreign.
        map: Fingerprint of that map; None where that is not recorded.
    """

    model: str
    split: str
    photos: int
    temperatures: tuple[float, ...]
    tails: tuple[float, ...]
    off_map_measure: str
    off_map_threshold: float
    off_map_kept: float
    figures: dict[str, Any]
    look: str | None = None
    map: str | None = None

    def apply(self, grid: ZoomGrid, log_probs: npt.NDArray[np.floating]) -> Floats:
        """Calibrated log-probabilities (B, N) of the model's own (B, N), before any prior.

        Raises:
            ModelError: If the grid has another number of steps than the calibration.
        """
        conditional = step_by_step(grid, log_probs, len(self.temperatures))
        total: Floats = np.zeros((len(log_probs), 1))
        for step, temperature, tail in zip(conditional, self.temperatures, self.tails, strict=True):
            total = (total[..., None] + step_log_probs(step, temperature, tail)).reshape(len(log_probs), -1)
        return total

    def on_map(self, log_probs: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Whether photos with calibrated posteriors (B, N), without a prior, look like photos of the map (B,)."""
        return np.asarray(on_map_score(log_probs, self.off_map_measure) >= self.off_map_threshold)

    def require_model(self, fingerprint: str, where: str | Path = "calibration") -> None:
        """Refuse another model's calibration.

        Raises:
            ModelError: If it was fitted for another model.
        """
        if fingerprint != self.model:
            raise ModelError(where, f"it was fitted for model {self.model[:12]}, not for {fingerprint[:12]}", _REMEDY)

    @cached_property
    def fingerprint(self) -> str:
        """Hex digits that change with any number of it."""
        import hashlib

        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        return {"format": FORMAT, **{k: v for k, v in asdict(self).items() if k != "map" or v is not None}}

    def save(self, path: Path) -> Path:
        """Write it as JSON, atomically; return the path.

        Raises:
            OSError: If it cannot be written.
        """
        return write_json(self.to_dict(), path)

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a file that `save` wrote.

        Raises:
            ModelError: If it cannot be read, or does not hold a calibration.
        """
        try:
            values = json.loads(read_limited(path, MAX_BYTES).decode(), parse_constant=_refuse)
        except OSError as error:
            raise ModelError(path, f"it cannot be read ({error.strerror})", _REMEDY) from error
        except (ValueError, RecursionError) as error:
            raise ModelError(path, f"it is not valid JSON ({printable(error, 100)})", _REMEDY) from error
        return _checked(values, path)


def find_calibration(model: str | Path, fingerprint: Callable[[], str], depth: int | None = None) -> Calibration | None:
    """The calibration in a model's folder; None if it has none for grids of this depth.

    Args:
        model: The folder, or a hub id.
        fingerprint: Gives the model's fingerprint, if it is needed.
        depth: Steps of the grid that it is for; None for any.

    Raises:
        ModelError: If it is broken or belongs to another model.
    """
    path = Path(model) / CALIBRATION_FILE
    if not path.is_file():
        return None
    found = Calibration.load(path)
    found.require_model(fingerprint(), path)
    return found if depth is None or len(found.temperatures) in (1, depth) else None


def step_by_step(grid: ZoomGrid, log_probs: npt.NDArray[np.floating], steps: int) -> list[Floats]:
    """A posterior as log-probabilities of each step given those before it.

    Args:
        grid: The grid.
        log_probs: (B, N).
        steps: Steps to see in it: the grid's depth, or 1 for all cells at once.

    Returns:
        Per step (B, cells before it, actions); -inf where nothing leads.

    Raises:
        ModelError: If the grid has not that many steps.
    """
    if steps not in (1, grid.depth):
        raise ModelError("calibration", f"it has {steps} steps and the grid {grid.depth}",
                         "Calibrate the model on a dataset of this grid.")
    actions = grid.actions if steps == grid.depth else grid.actions**grid.depth
    level = log_probs.astype(np.float64)
    found: list[Floats] = []
    for _ in range(steps):
        children = level.reshape(len(log_probs), -1, actions)
        level = log_sum(children)
        found.append(children - np.where(np.isfinite(level), level, 0.0)[..., None])
    return found[::-1]


def step_log_probs(log_probs: Floats, temperature: float, tail: float) -> Floats:
    """Calibrated log-probabilities (..., A) of one step.

    p becomes p^(1 / temperature) =: q, normalized; then q * q / (q + tail), normalized. What lies far above the tail stays,
    what lies far below it falls with its square.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = log_probs / temperature
        values = values - finite(log_sum(values))[..., None]
        if tail:
            values = np.where(np.isfinite(values), values - np.logaddexp(0.0, math.log(tail) - values), -np.inf)
            values = values - finite(log_sum(values))[..., None]
    return np.asarray(values)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _checked(values: object, path: Path) -> Calibration:
    """The calibration of a file's values.

    Raises:
        ModelError: If a value is missing or wrong.
    """
    def wrong(what: str) -> NoReturn:
        raise ModelError(path, what, _REMEDY)

    def numbers(name: str, low: float, high: float, counts: tuple[int, int]) -> tuple[float, ...]:
        given = values[name] if isinstance(values[name], list) else [values[name]]  # type: ignore[index]
        if not counts[0] <= len(given) <= counts[1] or not all(
                isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high for v in given):
            wrong(f"its field {name} is wrong")
        return tuple(float(v) for v in given)

    if not isinstance(values, dict) or values.get("format") != FORMAT:
        wrong(f"its format is not {FORMAT}")
    names = {"format", *Calibration.__dataclass_fields__}
    for name in ("look", "map"):  # older files do not have them
        values.setdefault(name, None)
    if set(values) != names:
        wrong(f"its fields are not the known ones: {printable(sorted(set(values) ^ names), 100)}")
    for name in ("model", "split", *(["map"] if values["map"] is not None else [])):
        if not isinstance(values[name], str) or len(values[name]) != 64 or set(values[name]) - set("0123456789abcdef"):
            wrong(f"its field {name} is not a fingerprint")
    photos = numbers("photos", 1, 1 << 53, (1, 1))[0]
    temperatures = numbers("temperatures", 1e-3, 1e3, (1, _MAX_STEPS))
    tails = numbers("tails", 0.0, 1.0, (len(temperatures), len(temperatures)))
    if values["off_map_measure"] not in MEASURES:
        wrong("its off_map_measure is not known")
    if not isinstance(values["figures"], dict):
        wrong("its field figures is wrong")
    look = values["look"]
    if look is not None and (not isinstance(look, str) or len(look) > 1024 or set(look) - set("0123456789abcdef")):
        wrong("its field look is wrong")
    return Calibration(values["model"], values["split"], int(photos), temperatures, tails, values["off_map_measure"],
                       numbers("off_map_threshold", -1e6, 1e6, (1, 1))[0], numbers("off_map_kept", 0.0, 1.0, (1, 1))[0],
                       values["figures"], look, values["map"])
