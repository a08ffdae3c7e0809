"""What a person must settle before a dataset is published. It states facts and settles nothing itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl

from justzoomin.checks.exifleft import PERSONAL, left_behind
from justzoomin.checks.rights import (
    ATTRIBUTION_COLUMNS,
    LICENCE_COLUMNS,
    LISTED,
    PublishItem,
    licences_items,
    map_items,
    photo_attribution_item,
    readme_item,
)
from justzoomin.data import Dataset, PhotoColumn, Split, photo_column, photo_tables
from justzoomin.errors import JustZoomInError

Progress = Callable[[str, int, int], None]

ANONYMIZED_COLUMNS = ("anonymized", "anonymised", "blurred")
SAMPLE = 1000
_PERSONAL_NAMES = re.compile(
    r"creator|user|author|owner|uploader|photographer|name\b|first_?name|last_?name|e?mail|phone|address|serial|device|imei|account"
    r"|organi[sz]ation|person|plate|face", re.IGNORECASE)
_TIMES = re.compile(r"captured_?at|timestamp|datetime|date_?time|capture_?time|camera_?clock|time_stated|\btime\b|\bdate\b",
                    re.IGNORECASE)
_TRUE = {"true", "1", "yes", "t", "1.0"}


def publish_check(dataset: Dataset, *, sample: int | None = SAMPLE, seed: int = 0, workers: int = 4,
                  progress: Progress | None = None) -> tuple[PublishItem, ...]:
    """List what a person must settle before publishing a dataset.

    Args:
        dataset: The dataset.
        sample: Number of photos whose files are searched for EXIF and the like; None for all.
        seed: Seed of the random sample.
        workers: Number of threads that read.
        progress: Called with the stage, how many are done and how many there are.

    Raises:
        DataError: If a split or metadata table cannot be read.
    """
    splits = [dataset.split(name) for name in dataset.split_paths]
    tables = photo_tables(dataset, splits)
    ids = list(dict.fromkeys(i for split in splits for i in split.image_ids))
    readme, readme_licence = readme_item(dataset.root)
    return (
        *licences_items(ids, photo_column(tables, LICENCE_COLUMNS), readme_licence),
        photo_attribution_item(dataset, ids, photo_column(tables, ATTRIBUTION_COLUMNS)),
        *map_items(dataset), readme,
        _left_in_files(dataset, ids, sample, seed, workers, progress),
        _faces(ids, photo_column(tables, ANONYMIZED_COLUMNS)),
        *_columns(tables), _positions(splits), _strays(dataset, ids),
    )


def _left_in_files(dataset: Dataset, ids: list[str], sample: int | None, seed: int, workers: int,
                   progress: Progress | None) -> PublishItem:
    present = dataset.photos.ids()
    there = [i for i in ids if i in present]
    chosen = there
    if sample is not None and sample < len(there):
        edges = np.linspace(0, len(there), sample + 1)
        at = np.floor(edges[:-1] + np.random.default_rng(seed).random(sample) * np.diff(edges)).astype(int)
        chosen = [there[i] for i in at]

    def look(image_id: str) -> dict[str, list[str]] | None:
        try:
            return left_behind(dataset.photos.read(image_id), dataset.photos.where(image_id))
        except JustZoomInError:
            return None

    kinds: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    personal: list[str] = []
    unreadable: list[str] = []
    with ThreadPoolExecutor(workers) as pool:
        for done, (image_id, found) in enumerate(zip(chosen, pool.map(look, chosen), strict=True), 1):
            if found is None:
                unreadable.append(image_id)
            else:
                kinds.update(found.keys())
                fields.update(name for names in found.values() for name in names)
                if any(kind in found for kind in PERSONAL):
                    personal.append(image_id)
            if progress:
                progress("files of photos", done, len(chosen))
    looked = f"{len(chosen):,} of {len(there):,} photos' files were searched"
    listed = ", ".join(f"{name} ({count:,})" for name, count in fields.most_common(LISTED))
    if unreadable:
        return PublishItem("file_metadata", "unsettled", f"{looked}; {len(unreadable):,} cannot be read",
                           f"See jzi data verify {dataset.root}.", tuple(unreadable[:LISTED]))
    if personal:
        words = ", ".join(f"{kinds[kind]:,} with {kind}" for kind in PERSONAL if kinds[kind])
        return PublishItem("file_metadata", "unsettled",
                           f"{looked}; {len(personal):,} still reveal place or person: {words} ({listed})",
                           "Write the photos again without EXIF; jzi photos import does that.", tuple(personal[:LISTED]))
    if fields:
        return PublishItem("file_metadata", "person must decide",
                           f"{looked}; they contain EXIF, but nothing about place or person: {listed}",
                           "Write the photos again without EXIF if camera or time must not be known.")
    if len(chosen) < len(there):
        return PublishItem("file_metadata", "person must decide", f"{looked}; none contains EXIF, previews or comments",
                           "Search all of them: --all-photos.")
    return PublishItem("file_metadata", "settled", f"{looked}; none contains EXIF, previews or comments")


def _faces(ids: list[str], column: PhotoColumn | None) -> PublishItem:
    plain = "justzoomin blurs nothing and does not search for faces or number plates"
    if column is None:
        return PublishItem("faces_and_plates", "unsettled", f"{plain}, and there is no column `anonymized` that says who did",
                           "Blur them or have them blurred, check a sample, "
                           "and add a column `anonymized` (true or false).")
    given = {i: str(column.values[i]).strip().lower() in _TRUE for i in ids if i in column.values}
    not_done = [i for i in ids if not given.get(i, False)]
    where = f"{column.where}, column {column.name}"
    if not_done:
        return PublishItem("faces_and_plates", "unsettled",
                           f"{len(not_done):,} of {len(ids):,} photos are not marked as anonymized ({where}); {plain}",
                           "Blur these photos or drop them.", tuple(not_done[:LISTED]))
    return PublishItem("faces_and_plates", "settled",
                       f"all {len(ids):,} photos are marked as anonymized ({where}); this was not checked here",
                       "Check a sample with your own eyes.")


def _columns(tables: Mapping[str, pl.DataFrame]) -> list[PublishItem]:
    personal, times = [], []
    for name, table in tables.items():
        for column in table.columns:
            if table[column].null_count() == len(table):
                continue
            if _PERSONAL_NAMES.search(column):
                personal.append(f"{name}: {column}")
            elif _TIMES.search(column):
                times.append(f"{name}: {column}")
    items = [PublishItem("personal_columns", "person must decide" if personal else "settled",
                         f"columns that may reveal persons or devices: {', '.join(personal)}" if personal else
                         "no column has a name that suggests personal data",
                         "Keep only what the licences require you to name; drop the rest." if personal else "",
                         tuple(personal[:LISTED]))]
    if times:
        items.append(PublishItem("times", "person must decide", f"columns that tell when photos were taken: {', '.join(times)}",
                                 "Together with the positions they reveal where a photographer was, and when: "
                                 "drop or coarsen them if that must not be known.", tuple(times[:LISTED])))
    return items


def _positions(splits: list[Split]) -> PublishItem:
    values = np.concatenate([np.concatenate([split.lat, split.lon]) for split in splits])
    decimals = next((d for d in range(10) if np.allclose(values, values.round(d), rtol=0, atol=1e-11)), 10)
    metres = 111_000 * 10.0**-decimals
    fine = f"{metres:.2g} m" if metres < 1000 else f"{metres / 1000:.0f} km"
    return PublishItem("positions", "person must decide",
                       f"positions have {decimals}{' or more' if decimals == 10 else ''} decimals, steps of {fine}",
                       "Decide whether every place may be known this exactly; "
                       "five decimals (1 m) are enough for terminal cells of several metres.")


def _strays(dataset: Dataset, ids: list[str]) -> PublishItem:
    strays = sorted(dataset.photos.ids() - set(ids))
    if strays:
        return PublishItem("unlisted_photos", "unsettled",
                           f"{len(strays):,} photos in the repository are not listed in any split, so they were not checked",
                           "Remove them, or list them in a split.", tuple(strays[:LISTED]))
    return PublishItem("unlisted_photos", "settled", "every photo is listed in a split")
