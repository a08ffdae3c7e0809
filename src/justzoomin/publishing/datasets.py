"""The upload of a dataset: rules first, then the folder in parts, then a comparison of every file with the hub's list."""

from __future__ import annotations

from collections.abc import Callable

from justzoomin.checks import PublishItem, conditions, publish_check
from justzoomin.data import Dataset
from justzoomin.errors import ConfigError, DataError
from justzoomin.hub import Pushed, push_folder, stamps_of
from justzoomin.publishing.dataset_files import inventory
from justzoomin.publishing.front_matter import CARD, licence_of, read_front_matter
from justzoomin.publishing.pushing import require_settled

Progress = Callable[[str, int, int], None]


def dataset_items(dataset: Dataset, *, sample: int | None = 1000, progress: Progress | None = None) -> tuple[PublishItem, ...]:
    """List what must be settled before a dataset is uploaded: the items of `publish_check`, and the card's licence.

    Args:
        dataset: The dataset.
        sample: Number of photos whose files are searched for EXIF and the like; None for all.
        progress: Called with the stage, how many are done and how many there are.

    Raises:
        DataError: If a table or the card cannot be read.
    """
    licence = licence_of(read_front_matter(dataset.root))
    if licence and "unknown" not in conditions(licence):
        item = PublishItem("dataset_licence", "settled", f"{CARD} names the licence {licence} for the hub")
    else:
        item = PublishItem("dataset_licence", "unsettled", f"{CARD} does not name a known licence in its front matter",
                           f"Write the card: jzi data card {dataset.root} --license NAME.")
    return (item, *publish_check(dataset, sample=sample, progress=progress))


def publish_dataset(dataset: Dataset, repo_id: str, items: tuple[PublishItem, ...], *, private: bool = False,
                    decided: bool = False) -> Pushed:
    """Upload a dataset, and compare the hub's list with the files. An interrupted upload goes on when it is run again.

    Args:
        dataset: The dataset, in TAR shards.
        repo_id: `owner/name`.
        items: From `dataset_items`.
        private: Whether a new repository is private.
        decided: Whether a person has decided what only a person can decide.

    Raises:
        ConfigError: If something is unsettled or undecided, or photos or tiles are loose files.
        DataError: If the hub does not take the upload, or lists a file differently.
    """
    require_settled(repo_id, items, decided=decided)
    files = inventory(dataset.root)
    if files.loose:
        raise ConfigError(str(dataset.root), f"{files.loose:,} photos and tiles are loose files, not in TAR shards",
                          "The hub takes few large files. Publish the folder with the shards, before its extraction.")
    pushed = push_folder(repo_id, "dataset", dataset.root, files.files, "Upload the dataset", private=private)
    there = stamps_of(repo_id, pushed.commit)
    for path in files.files:
        problem = "it is missing" if path not in there else there[path].problem(dataset.root / path, content=True)
        if problem is not None:
            raise DataError(dataset.root / path, f"the file on the hub differs from this one: {problem}",
                            "Run the same command again; what was uploaded is kept.")
    return pushed
