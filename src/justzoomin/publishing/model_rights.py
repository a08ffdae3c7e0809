"""What must be settled before a model's weights are published: licences of the weights and of what they were trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from justzoomin.checks import PublishItem, conditions
from justzoomin.publishing.front_matter import licence_of, read_front_matter

DATA_LICENCE = "training_data_license"
"""Name in a model card's front matter of the licence of training data whose record does not state one."""
_REMEDY_CARD = "Write the card: jzi model card FOLDER --license NAME."
_OWN_PATH = re.compile(r"(?:^|[\s\"'=])(?:/(?:home|Users|root|mnt|data|work|tmp|srv|scratch)/[^\s\"']+|[A-Za-z]:\\[^\s\"']+)")
_DEEPEST = 30


@dataclass(frozen=True)
class TrainingData:
    """What a model's record says about one map that it was trained on.

    Args:
        name: Name of the dataset's folder.
        photos: Number of training photos; None if not recorded.
        split_hash: SHA-256 of the training split; empty if not recorded.
        map_hash: Fingerprint of the map; empty if not recorded.
        licences: Licences that the dataset stated; empty if not recorded.
        attribution: Whom to credit; empty if not recorded.
        earlier: Whether an earlier model was trained on it, from which this training started.
    """

    name: str
    photos: int | None
    split_hash: str
    map_hash: str
    licences: tuple[str, ...]
    attribution: str
    earlier: bool


def training_data(provenance: Mapping[str, Any]) -> list[TrainingData]:
    """Return the data that a model was trained on, those of earlier trainings it started from included."""
    return list(dict.fromkeys(_rows(provenance, 0)))


def _rows(record: Mapping[str, Any], depth: int) -> Iterator[TrainingData]:
    maps = record.get("maps")
    for row in maps if isinstance(maps, list) else [record]:
        if not isinstance(row, dict) or not isinstance(row.get("train_split_hash"), str):
            continue
        stated = row.get("rights")
        rights = stated if isinstance(stated, dict) else {}
        licences = rights.get("licences")
        yield TrainingData(
            str(row.get("data", "")), row["photos"] if isinstance(row.get("photos"), int) else None, row["train_split_hash"],
            str(row.get("map_hash", "")), tuple(map(str, licences)) if isinstance(licences, list) else (),
            str(rights.get("attribution") or ""), depth > 0)
    before = record.get("started_from")
    if isinstance(before, dict) and depth < _DEEPEST:
        yield from _rows(before, depth + 1)


def model_items(folder: Path, provenance: Mapping[str, Any], encoder_source: str | None) -> tuple[PublishItem, ...]:
    """List what must be settled before a model is published.

    Args:
        folder: The model's folder, with its card.
        provenance: The model's record.
        encoder_source: Hub id of the pretrained encoder that the training started from; None for fresh weights.
    """
    card = read_front_matter(folder)
    own, asserted = licence_of(card), str((card or {}).get(DATA_LICENCE) or "")
    rows = training_data(provenance)
    items = [PublishItem("model_card", "unsettled", "there is no README.md", _REMEDY_CARD) if card is None else
             PublishItem("model_card", "settled", "README.md is there")]
    if not own:
        items.append(PublishItem("weights_licence", "unsettled", "the card names no licence of the weights", _REMEDY_CARD))
    else:
        items.append(PublishItem("weights_licence", "settled", f"the weights are shared under {own}"))
    items += [*_data_items(rows, own, asserted), *_credit_items(folder, rows, asserted)]
    if encoder_source:
        items.append(PublishItem("encoder_licence", "person must decide",
                                 f"the encoder's weights started from {encoder_source}",
                                 "Make sure that its licence allows it."))
    paths = sorted({match.group().strip(" \"'=") for text in _texts(provenance) for match in _OWN_PATH.finditer(text)})
    if paths:
        items.append(PublishItem("paths", "person must decide", f"provenance.json names folders of a machine: {paths[0]}",
                                 "Edit provenance.json if they must not be known.", tuple(paths[:5])))
    return tuple(items)


def _data_items(rows: list[TrainingData], own: str, asserted: str) -> list[PublishItem]:
    without = [row.name for row in rows if not row.licences]
    if (not rows or without) and not asserted:
        what = "the model does not record what it was trained on" if not rows else \
            f"no licence is recorded for {len(without)} of {len(rows)} training sets"
        return [PublishItem("training_licence", "unsettled", what, "State it: jzi model card FOLDER --data-license NAME.",
                            tuple(without[:5]))]
    names = sorted({name for row in rows for name in row.licences} | ({asserted} if not rows or without else set()))
    items = [PublishItem("training_licence", "settled", f"the training data are under {', '.join(names)}")]
    kinds = {name: conditions(name) for name in names}
    for kind, words in (("unknown", "which is not a known open licence"), ("all rights reserved", "which reserves all rights"),
                        ("no derivatives", "which forbids anything that is made from the data")):
        forbidding = [name for name, found in kinds.items() if kind in found]
        if forbidding:
            items.append(PublishItem(f"training_{kind.replace(' ', '_')}", "unsettled",
                                     f"weights were trained on data under {', '.join(forbidding)}, {words}",
                                     "Get permission, or train without these data.", tuple(forbidding)))
    limited = [name for name, found in kinds.items() if "non-commercial" in found]
    if limited and own and "non-commercial" not in conditions(own):
        items.append(PublishItem("training_non_commercial", "unsettled",
                                 f"the data under {', '.join(limited)} forbid commercial use, but {own} allows it",
                                 "Choose a non-commercial licence for the weights, or train without these data."))
    alike = [name for name, found in kinds.items() if "share-alike" in found]
    if alike and own and "share-alike" not in conditions(own):
        items.append(PublishItem("training_share_alike", "person must decide",
                                 f"the data under {', '.join(alike)} ask that what is made from them is shared alike; the "
                                 f"weights are under {own}", "Decide whether the weights count as made from the data."))
    return items


def _credit_items(folder: Path, rows: list[TrainingData], asserted: str) -> list[PublishItem]:
    needed = any(re.search(r"\bby\b", name.lower().replace("-", " ")) for row in rows for name in (*row.licences, asserted))
    if (folder / "ATTRIBUTION").is_file() or (rows and all(row.attribution for row in rows)):
        return [PublishItem("attribution", "settled", "it is known whom to credit for the training data")]
    return [PublishItem("attribution", "unsettled" if needed else "person must decide",
                        "it is not recorded whom to credit for the training data",
                        "Write a file ATTRIBUTION into the model's folder.")]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:10_000]
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
