"""Datasets: repositories in the card's layout, split tables, photos, torch datasets, augmentation.

What needs torch is imported when it is first asked for: looking at a dataset does not wait for it.
"""

from typing import TYPE_CHECKING, Any

from justzoomin.data.findings import VerifyReport
from justzoomin.data.parquet import read_parquet
from justzoomin.data.photos import FORMATS, PhotoStore, decode_photo, exif_orientation
from justzoomin.data.picturehash import difference_hash
from justzoomin.data.records import RecordProblem, check_records
from justzoomin.data.repository import ATTRIBUTION, Dataset, find_splits, hash_records, open_dataset, split_name
from justzoomin.data.tables import Split, read_split
from justzoomin.data.verify import verify_dataset, verify_repository

if TYPE_CHECKING:
    from justzoomin.data.augment import Augment, AugmentConfig
    from justzoomin.data.batches import Draw, ResumableBatchSampler
    from justzoomin.data.ready import ReadyKind, ReadyPhotos, find_ready
    from justzoomin.data.readying import ReadyPlan, make_ready, ready_plan
    from justzoomin.data.torch_data import Batch, Sample, ZoomDataset, collate
    from justzoomin.data.transforms import halves, normalize, to_tensor, wide_photo

__all__ = [
    "ATTRIBUTION", "FORMATS", "Augment", "AugmentConfig", "Batch", "Dataset", "Draw", "PhotoStore", "ReadyKind",
    "ReadyPhotos", "ReadyPlan", "RecordProblem", "ResumableBatchSampler", "Sample", "Split", "VerifyReport", "ZoomDataset",
    "check_records", "collate", "decode_photo", "difference_hash", "exif_orientation", "find_ready", "find_splits",
    "halves", "hash_records", "make_ready", "normalize", "open_dataset", "read_parquet", "read_split", "ready_plan",
    "split_name", "to_tensor", "verify_dataset", "verify_repository", "wide_photo",
]

_WITH_TORCH = {
    **dict.fromkeys(("Augment", "AugmentConfig"), "augment"),
    **dict.fromkeys(("Batch", "Sample", "ZoomDataset", "collate"), "torch_data"),
    **dict.fromkeys(("ReadyKind", "ReadyPhotos", "find_ready"), "ready"),
    **dict.fromkeys(("ReadyPlan", "make_ready", "ready_plan"), "readying"),
    **dict.fromkeys(("Draw", "ResumableBatchSampler"), "batches"),
    **dict.fromkeys(("halves", "normalize", "to_tensor", "wide_photo"), "transforms"),
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
