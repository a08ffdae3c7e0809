"""The card of a pack, and the rights that its parts state."""

from __future__ import annotations

from pathlib import Path

from justzoomin.checks import names_licence
from justzoomin.maps import Map
from justzoomin.models import find_folder
from justzoomin.packs import PackPlan, Rights
from justzoomin.publishing.front_matter import licence_of, read_front_matter, with_front_matter
from justzoomin.untrusted import read_limited

_MAX_BYTES = 1 << 20


def stated_pack_rights(model: str | Path, map: Path, map_licence: str = "", model_licence: str = "") -> dict[str, Rights]:
    """Return the rights of a pack's parts: the given licences, else what the cards of model and map say.

    Args:
        model: Model folder, or `owner/name` on the hub.
        map: Folder of the map or dataset, or tile package.
        map_licence: Licence of the map, if it is given.
        model_licence: Licence of the weights, if it is given.

    Raises:
        ModelError: If there is no such model.
        LayoutError: If there is no such map.
        DataError: If a card cannot be read.
    """
    folder = find_folder(model, None)
    credit = folder / "ATTRIBUTION"
    words = read_limited(credit, _MAX_BYTES).decode("utf-8", "replace").strip() if credit.is_file() else ""
    root = map if map.is_dir() else map.parent
    card = root / "README.md"
    stated = names_licence(read_limited(card, _MAX_BYTES).decode("utf-8", "replace")) if card.is_file() else None
    return {"model": Rights(model_licence or licence_of(read_front_matter(folder)), words),
            "map": Rights(map_licence or stated or "", Map.open(map).attribution or "")}


def pack_card(plan: PackPlan) -> str:
    """Return the text of a pack's card."""
    model, map = plan.rights["model"], plan.rights["map"]
    one = model.licence if model.licence == map.licence else "other"
    rows = "\n".join(f"| {part} | {held.licence} | {' '.join(held.attribution.split()) or 'nobody'} |"
                     for part, held in plan.rights.items())
    front = {"license": one, "license_name": None if one != "other" else "see-the-table-of-licences",
             "library_name": "justzoomin", "tags": ["cross-view-geo-localization", "justzoomin-pack"]}
    return with_front_matter(front, f"""# {plan.title}

All that a localizer of this place needs: map, model and calibration{', and the index of the map' if any(
        name.startswith("index/") for name in plan.files) else ''}. {len(plan.files):,} files, {plan.bytes / 1e6:,.1f} MB.

```python
from justzoomin import Localizer
fix = Localizer.load_pack("owner/name").localize("photo.jpg")
print(fix.lat, fix.lon, fix.credible_radius_m)
```

`hashes.json` lists every file with its size and SHA-256. Nothing is opened before all of them were checked.

| part | licence | whom to credit |
|---|---|---|
{rows}
""")
