"""Who owns the photos and the map, and under which licence: what tables and files say, and what they leave open."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from justzoomin.checks.licences import conditions, names_licence
from justzoomin.data import Dataset, PhotoColumn, photo_column, photo_tables
from justzoomin.tiles import CARD_LAYOUT

State = Literal["settled", "unsettled", "person must decide"]

LICENCE_COLUMNS = ("license", "licence", "license_name", "rights")
ATTRIBUTION_COLUMNS = ("attribution", "credit", "creator", "creator_username", "username", "author", "owner")
LISTED = 10


@dataclass(frozen=True)
class PublishItem:
    """One thing to settle.

    Args:
        name: What it is about, one word or two with an underscore.
        state: `settled`, `unsettled`, or `person must decide` where the files cannot say.
        finding: What the files say, in one sentence.
        remedy: How to settle it; empty if nothing is left to do.
        examples: Some of the photos, columns or files concerned.
    """

    name: str
    state: State
    finding: str
    remedy: str = ""
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {**asdict(self), "examples": list(self.examples)}


def stated_rights(dataset: Dataset, split: str) -> dict[str, Any]:
    """Return what a dataset states about the rights to a split: `licences`, a list of names, and `attribution`, a text.

    Licences are those of the split's photos, from the tables; those that state none have the licence of the README.

    Raises:
        DataError: If a table cannot be read.
    """
    records = dataset.split(split)
    column = photo_column(photo_tables(dataset, [records]), LICENCE_COLUMNS)
    given = {} if column is None else {str(column.values[i]).strip() for i in records.image_ids if i in column.values}
    whole = column is not None and all(i in column.values for i in records.image_ids)
    readme = None if whole else readme_item(dataset.root)[1]
    credit = dataset.attribution()
    return {"licences": sorted({*given, *([readme] if readme else [])}),
            "attribution": "" if credit.startswith("Not stated:") else credit}


def readme_item(root: Path) -> tuple[PublishItem, str | None]:
    """Return the item of the dataset card, and the licence that the card names for the whole dataset."""
    path = next((p for p in (root / "README.md", root / "README", root / "README.txt") if p.is_file()), None)
    if path is None:
        return PublishItem("dataset_card", "unsettled", "there is no README.md",
                           "Write one that says what the data are, how they were made, "
                           "what they may be used for, and under which licence."), None
    with path.open("rb") as file:
        licence = names_licence(file.read(1 << 20).decode("utf-8", "replace"))
    if licence is None:
        return PublishItem("dataset_card", "unsettled", f"{path.name} does not name a known licence",
                           "Name the licence of the whole dataset in its front matter, as `license: ...` for the hub."), None
    return PublishItem("dataset_card", "settled", f"{path.name} names a licence: {licence}"), licence


def licences_items(ids: list[str], column: PhotoColumn | None, readme: str | None) -> list[PublishItem]:
    """Return the items about licences per photo, and about the conditions that their names state."""
    if column is None:
        if readme is None:
            return [PublishItem("photo_licence", "unsettled",
                                f"neither a table nor the README states a licence for any of {len(ids):,} photos",
                                "Add a column `license` to the split tables or to streetview/metadata.csv.")]
        return [PublishItem("photo_licence", "person must decide",
                            f"no table states a licence per photo; the README names, for the whole dataset: {readme}",
                            "Make sure that it holds for every photo, or add a column `license`.")]
    given = {i: str(column.values[i]).strip() for i in ids if i in column.values}
    without = [i for i in ids if i not in given]
    counts = Counter(given.values())
    some = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common(LISTED))
    items = [PublishItem(
        "photo_licence", "unsettled" if without else "settled",
        f"{len(given):,} of {len(ids):,} photos state a licence ({column.where}, column {column.name}): {some}",
        f"Fill in the column for the {len(without):,} others, or drop these photos." if without else "",
        tuple(without[:LISTED]))]
    kinds = {name: conditions(name) for name in counts}
    for kind, state, remedy in (
            ("unknown", "unsettled", "Find out what it allows, and write the licence's usual name."),
            ("all rights reserved", "unsettled", "Get the photographers' permission, or drop these photos."),
            ("no derivatives", "unsettled", "These photos were cut, resized or undistorted: get permission, or drop them."),
            ("share-alike", "person must decide",
             "Anything made from such photos must be shared under the same or a compatible licence: "
             "choose the licence of the whole dataset accordingly."),
            ("non-commercial", "person must decide",
             "Say in the README that the dataset may not be used commercially, or drop them.")):
        names = [name for name, found in kinds.items() if kind in found]
        if names:
            total = sum(counts[name] for name in names)
            words = "under licences that are not known open ones" if kind == "unknown" else kind
            items.append(PublishItem("licence_" + kind.replace(" ", "_").replace("-", "_"), state,  # type: ignore[arg-type]
                                     f"{total:,} photos are {words}: {', '.join(names[:LISTED])}",
                                     remedy, tuple(names[:LISTED])))
    if len(counts) > 1:
        items.append(PublishItem("licences_mixed", "person must decide", f"{len(counts)} licences are mixed: {some}",
                                 "Keep the column with the data, and say in the README that each photo has its own."))
    return items


def photo_attribution_item(dataset: Dataset, ids: list[str], column: PhotoColumn | None) -> PublishItem:
    """Return the item about whom to credit for the photos."""
    given = {} if column is None else {i: column.values[i] for i in ids if i in column.values}
    without = [i for i in ids if i not in given]
    if column is not None and not without:
        return PublishItem("photo_attribution", "settled",
                           f"all {len(ids):,} photos say whom to credit ({column.where}, column {column.name})")
    some = "no table says whom to credit for a photo" if column is None else \
        f"{len(without):,} of {len(ids):,} photos do not say whom to credit ({column.where}, column {column.name})"
    if (dataset.root / "ATTRIBUTION").is_file():
        return PublishItem("photo_attribution", "person must decide",
                           f"{some}; the file ATTRIBUTION says: {_short(dataset.attribution())}",
                           "Make sure that it names the photographers or the service as their licence requires, "
                           "or add a column `attribution`.", tuple(without[:LISTED]))
    if dataset.map.layout.same_place(CARD_LAYOUT):
        return PublishItem("photo_attribution", "person must decide",
                           f"{some}; the published dataset's card says: {_short(dataset.attribution())}",
                           "Write this into a file ATTRIBUTION if the photos are from that dataset.")
    return PublishItem("photo_attribution", "unsettled", f"{some}, and there is no file ATTRIBUTION",
                       "Add a column `attribution`, or a file ATTRIBUTION that names them.", tuple(without[:LISTED]))


def map_items(dataset: Dataset) -> list[PublishItem]:
    """Return the items about whom to credit for the map, and about the server that its tiles came from."""
    if (dataset.root / "ATTRIBUTION").is_file():
        items = [PublishItem("map_attribution", "settled", f"the file ATTRIBUTION says: {_short(dataset.attribution())}",
                             "Read it once more: it must also name the source of the overhead imagery.")]
    elif dataset.map.layout.same_place(CARD_LAYOUT):
        items = [PublishItem("map_attribution", "settled",
                             f"the map has the published dataset's layout, whose card says: {_short(dataset.attribution())}",
                             "Write this into a file ATTRIBUTION.")]
    else:
        items = [PublishItem("map_attribution", "unsettled",
                             "there is no file ATTRIBUTION, so nothing says whose imagery the map shows",
                             "Write the source of the imagery and its licence into a file ATTRIBUTION.")]
    if dataset.map.layout.url:
        items.append(PublishItem("tile_server_terms", "person must decide",
                                 f"the map's tiles came from {dataset.map.layout.url}",
                                 "Read that server's terms: many allow viewing tiles but not passing them on."))
    return items


def _short(text: str, limit: int = 200) -> str:
    plain = " ".join(text.split()).rstrip(".")
    return plain if len(plain) <= limit else plain[:limit - 1] + "…"
