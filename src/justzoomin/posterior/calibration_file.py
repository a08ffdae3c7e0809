"""The file of a calibration: its formats, and the checks of everything in it."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from justzoomin.errors import ModelError
from justzoomin.posterior.many_maps import LOG_TEMPERATURES, SIZES, ManyMapsCalibration, TemperatureLaw, UniformLaw
from justzoomin.posterior.offmap import MEASURES
from justzoomin.posterior.one_map import OneMapCalibration
from justzoomin.untrusted import printable, read_limited

FORMAT = "justzoomin-calibration/3"
"""With a calibration for many maps; a file without one keeps the format before it, so that older versions read it."""
ONE_MAP_FORMAT = "justzoomin-calibration/2"
MAX_BYTES = 1 << 20
REMEDY = "Calibrate again: jzi calibrate MODEL --data ROOT --split SPLIT."
_MAX_STEPS = 62
_MAX_MAPS = 4096


def plain(model: str, one_map: OneMapCalibration | None, many_maps: ManyMapsCalibration | None) -> dict[str, Any]:
    """Return the values of a file."""
    one = None if one_map is None else {k: v for k, v in asdict(one_map).items() if k != "map" or v is not None}
    if many_maps is None:
        return {"format": ONE_MAP_FORMAT, "model": model, **(one or {})}
    many = asdict(many_maps)
    many["uniform"]["logit"] = None if many_maps.uniform.logit == -math.inf else many_maps.uniform.logit
    return {"format": FORMAT, "model": model, "one_map": one, "many_maps": many}


def read(path: Path) -> tuple[str, OneMapCalibration | None, ManyMapsCalibration | None]:
    """Read a file: the model's fingerprint and both calibrations.

    Raises:
        ModelError: If it cannot be read, or a value is missing or wrong.
    """
    try:
        values = json.loads(read_limited(path, MAX_BYTES).decode(), parse_constant=_refuse)
    except OSError as error:
        raise ModelError(path, f"it cannot be read ({error.strerror})", REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(path, f"it is not valid JSON ({printable(error, 100)})", REMEDY) from error
    if not isinstance(values, dict) or values.get("format") not in (FORMAT, ONE_MAP_FORMAT):
        raise ModelError(path, f"its format is not {FORMAT} or {ONE_MAP_FORMAT}", REMEDY)
    whole = _Checked(values, path)
    if values.pop("format") == ONE_MAP_FORMAT:
        model = whole.fingerprint("model")
        del values["model"]
        return model, _one_map(whole), None
    whole.only({"model", "one_map", "many_maps"})
    one = None if values["one_map"] is None else _one_map(whole.inner("one_map"))
    return whole.fingerprint("model"), one, _many_maps(whole.inner("many_maps"))


def _one_map(found: _Checked) -> OneMapCalibration:
    for name in ("look", "map"):  # older files lack them
        found.values.setdefault(name, None)
    found.only(OneMapCalibration.__dataclass_fields__)
    for name in ("split", *(["map"] if found.values["map"] is not None else [])):
        found.fingerprint(name)
    if found.values["off_map_measure"] not in MEASURES:
        found.wrong("its off_map_measure is not known")
    look = found.values["look"]
    if look is not None and (not isinstance(look, str) or len(look) > 1024 or set(look) - set("0123456789abcdef")):
        found.wrong("its field look is wrong")
    temperatures = found.numbers("temperatures", 1e-3, 1e3, (1, _MAX_STEPS))
    return OneMapCalibration(
        found.fingerprint("split"), int(found.number("photos", 1, 1 << 53)), temperatures,
        found.numbers("tails", 0.0, 1.0, (len(temperatures), len(temperatures))), found.values["off_map_measure"],
        found.number("off_map_threshold", -1e6, 1e6), found.number("off_map_kept", 0.0, 1.0), found.figures(), look,
        found.values["map"])


def _many_maps(found: _Checked) -> ManyMapsCalibration:
    found.only(ManyMapsCalibration.__dataclass_fields__)
    laws = found.values["laws"]
    if not isinstance(laws, list) or not 1 <= len(laws) <= _MAX_STEPS:
        found.wrong("its field laws is wrong")
    read_laws = []
    for law in (_Checked(each, found.path) for each in laws):
        law.only(TemperatureLaw.__dataclass_fields__)
        read_laws.append(TemperatureLaw(law.number("log_temperature", *LOG_TEMPERATURES), law.number("by_area", -10.0, 10.0),
                                        law.number("by_entropy", -100.0, 100.0)))
    uniform = found.inner("uniform")
    uniform.only(UniformLaw.__dataclass_fields__)
    logit = -math.inf if uniform.values["logit"] is None else uniform.number("logit", -1e3, 1e3)
    sizes = found.inner("sizes")
    sizes.only(SIZES)
    colour = found.values["colour"]
    if not isinstance(colour, list) or len(colour) != 3:
        found.wrong("its field colour is wrong")
    channels = _Checked(dict(enumerate(colour)), found.path)
    return ManyMapsCalibration(
        tuple(read_laws), UniformLaw(logit, uniform.number("by_area", -10.0, 10.0)), int(found.number("photos", 1, 1 << 53)),
        found.fingerprints("maps"), found.fingerprints("splits"), {name: sizes.pair(name, 1e-6, 1e18) for name in SIZES},
        tuple(channels.pair(k, 0.0, 255.0) for k in range(3)), found.figures())


class _Checked:
    """An object of a file, whose fields are checked when they are taken."""

    def __init__(self, values: object, path: Path) -> None:
        self.path = path
        if not isinstance(values, dict):
            self.wrong("a part of it is not an object")
        self.values: dict[Any, Any] = values

    def wrong(self, what: str) -> NoReturn:
        raise ModelError(self.path, what, REMEDY)

    def only(self, names: Any) -> None:
        if set(self.values) != set(names):
            self.wrong(f"its fields are not the known ones: {printable(sorted(set(self.values) ^ set(names)), 100)}")

    def _get(self, name: object) -> Any:
        if name not in self.values:
            self.wrong(f"its field {name} is missing")
        return self.values[name]

    def inner(self, name: str) -> _Checked:
        return _Checked(self._get(name), self.path)

    def numbers(self, name: object, low: float, high: float, counts: tuple[int, int]) -> tuple[float, ...]:
        given = self._get(name)
        if not isinstance(given, list) or not counts[0] <= len(given) <= counts[1] or not all(
                isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high for v in given):
            self.wrong(f"its field {name} is wrong")
        return tuple(float(v) for v in given)

    def number(self, name: str, low: float, high: float) -> float:
        return _Checked({name: [self._get(name)]}, self.path).numbers(name, low, high, (1, 1))[0]

    def pair(self, name: object, low: float, high: float) -> tuple[float, float]:
        first, last = self.numbers(name, low, high, (2, 2))
        if first > last:
            self.wrong(f"its field {name} is not a range")
        return first, last

    def fingerprint(self, name: str) -> str:
        return self._digits(self._get(name), name)

    def fingerprints(self, name: str) -> tuple[str, ...]:
        given = self._get(name)
        if not isinstance(given, list) or not 1 <= len(given) <= _MAX_MAPS:
            self.wrong(f"its field {name} is wrong")
        return tuple(self._digits(each, name) for each in given)

    def _digits(self, value: object, name: str) -> str:
        digits = value.removeprefix("server-") if isinstance(value, str) else ""  # the fingerprint of a tile server's map
        if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            self.wrong(f"its field {name} is not a fingerprint")
        return str(value)

    def figures(self) -> dict[str, Any]:
        found = self._get("figures")
        if not isinstance(found, dict):
            self.wrong("its field figures is wrong")
        return dict(found)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
