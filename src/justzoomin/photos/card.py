"""The texts of a dataset: whom to credit, under which licence, and what was done to the photos."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from justzoomin.geometry import ZoomGrid
from justzoomin.photos.settings import ImportSettings
from justzoomin.photos.writing import Written

_MOST_NAMED = 20
_MAP_LINE = re.compile(r"\s*(?:Overhead map:\s*)+")
_PHOTO_LINES = ("Street photos:", "Street-view imagery")
"""How lines about photos begin in the ATTRIBUTION of an imported dataset, and in that of the published one."""
_PER_PHOTO = "streetview/metadata_satellite_covered.csv"


def attribution_text(photos: Sequence[Written], map_attribution: str | None) -> str:
    """Return the file ATTRIBUTION: the map, then the photos, the largest contributors first."""
    lines = ["Overhead map: " + (_map_credit(map_attribution or "") or "not stated.")]
    credits_ = Counter((_one_line(p.record.attribution), _one_line(p.record.license)) for p in photos)
    ordered = sorted(credits_.items(), key=lambda item: (-item[1], item[0]))
    for (name, license_), count in ordered[:_MOST_NAMED]:
        number = f"{count:,} photo" + ("s" if count > 1 else "")
        under = f", licence {license_}" if license_ else ", licence not stated"
        lines.append(f"Street photos: {name or 'not stated'} ({number}{under}).")
    if len(ordered) > _MOST_NAMED:
        lines.append(f"Street photos: and {len(ordered) - _MOST_NAMED} more; {_PER_PHOTO} names them for every photo.")
    return "\n".join(lines) + "\n"


def _map_credit(text: str) -> str:
    """Return what an attribution says about the map; a dataset's also credits its photos, which do not apply to others."""
    lines = [_MAP_LINE.sub("", line) for line in text.splitlines() if not line.lstrip().startswith(_PHOTO_LINES)]
    return "\n".join(lines).strip()


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def hub_license(names: Sequence[str | None]) -> str:
    """Return the licence for a card's front matter: the shared one as the hub spells it, else `other`; `unknown` if none."""
    plain = {re.sub(r"[^a-z0-9.]+", "-", (n or "").strip().lower()).strip("-") for n in names}
    if plain <= {""}:
        return "unknown"
    return plain.pop() if len(plain) == 1 else "other"


def card_text(photos: Sequence[Written], splits: dict[str, dict[str, Any]], grid: ZoomGrid, settings: ImportSettings,
              dropped: dict[str, int], title: str) -> str:
    """Return the README: a dataset card with front matter, counts, split and what was dropped."""
    split, region = settings.split, grid.region
    kinds = {"photo": "at random by photo: neighbours of a validation photo may be in training",
             "sequence": "by sequence: none is shared",
             "block": f"by squares of {split.block_m:g} m; "
                      f"training photos within {split.guard_m:g} m of a validation photo are left out"}
    licenses = sorted({_one_line(p.record.license) or "not stated" for p in photos})
    treatments = Counter(str(p.values["treatment"]) for p in photos)
    treated = {"none": "unchanged, without metadata", "encoded": "turned, reduced or encoded again",
               "undistorted": "undistorted", "cut": "cut from panoramas"}
    counts = "\n".join(f"| {name} | {info['photos']:,} | `{info['sha256']}` |" for name, info in splits.items())
    reasons = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in sorted(dropped.items())) or "none"
    done = ", ".join(f"{treatments[kind]:,} {words}" for kind, words in treated.items() if treatments[kind])
    return f"""---
license: {hub_license([p.record.license for p in photos])}
pretty_name: {_quoted(title)}
tags: [cross-view-geo-localization, street-view, aerial-imagery]
---

# {title}

Street photos and an overhead map, in the layout of the Just Zoom In dataset. Made by `jzi photos import`.

| split | photos | SHA-256 of ids, positions and sequences |
|---|---|---|
{counts}

- Split {kinds[split.kind]}. Share for validation {split.val_share:g}, seed {split.seed} (`metadata/split.json`).
- Region: {region.size_m:g} m around {region.centre.lat:.6f}, {region.centre.lon:.6f}; grid {grid.grid} x {grid.grid},
  {grid.depth} steps, last cell {grid.cell_size_m(grid.depth):g} m (`satellite/region.yaml`).
- Photos: {done}.
- Dropped: {reasons} (`import-report.json`).
- Licences of the photos: {', '.join(licenses)}. Whom to credit: `ATTRIBUTION`; for every photo: `{_PER_PHOTO}`.

Faces and number plates are as they were in the photos. `jzi data publish-check` says what to settle before publishing.
"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
