"""Datasets: repositories in the card's layout, split tables, photos, torch datasets, augmentation.

What needs torch or polars is imported when it is first asked for: looking at a dataset does not wait for torch, and localizing
a photo not for tables.
"""

from typing import TYPE_CHECKING, Any

from justzoomin.data.exiftags import exif_tags, loaded_exif
from justzoomin.data.findings import VerifyReport
from justzoomin.data.photofiles import PHOTO_ENDINGS, PassedOver, is_photo, photo_files, walk
from justzoomin.data.photos import FORMATS, PhotoStore, decode_photo, exif_orientation, sound_jpeg
from justzoomin.data.picturehash import difference_hash
from justzoomin.data.statedfiles import StatedFiles, composed
from justzoomin.data.xmp import declared_panorama, gpano, xmp_of, xmp_text

if TYPE_CHECKING:
    from justzoomin.data.augment import Augment, AugmentConfig
    from justzoomin.data.batches import Draw, ResumableBatchSampler
    from justzoomin.data.joined import JoinedDataset, open_datasets
    from justzoomin.data.parquet import read_noted_parquet, read_parquet
    from justzoomin.data.places import Places, find_splits, split_name
    from justzoomin.data.ready import ReadyKind, ReadyPhotos, find_ready
    from justzoomin.data.readying import ReadyPlan, make_ready, ready_plan
    from justzoomin.data.records import RecordProblem, check_records
    from justzoomin.data.repository import ATTRIBUTION, Dataset, find_places, hash_records, open_dataset
    from justzoomin.data.shapes import PhotoShape, shapes_of, span_of
    from justzoomin.data.tablefile import read_table
    from justzoomin.data.tables import Split, read_split
    from justzoomin.data.torch_data import Batch, Sample, ZoomDataset, collate
    from justzoomin.data.transforms import halves, normalize, to_tensor, wide_photo
    from justzoomin.data.verify import verify_dataset, verify_repository

__all__ = [
    "ATTRIBUTION", "FORMATS", "PHOTO_ENDINGS", "Augment", "AugmentConfig", "Batch", "Dataset", "Draw", "JoinedDataset",
    "PassedOver", "PhotoShape", "PhotoStore", "Places", "ReadyKind", "ReadyPhotos", "ReadyPlan", "RecordProblem",
    "ResumableBatchSampler", "Sample", "Split", "StatedFiles", "VerifyReport", "ZoomDataset", "check_records", "collate",
    "composed", "declared_panorama", "decode_photo", "difference_hash", "exif_orientation", "exif_tags", "find_places",
    "find_ready", "find_splits", "gpano", "halves", "hash_records", "is_photo", "loaded_exif", "make_ready", "normalize",
    "open_dataset", "open_datasets", "photo_files", "read_noted_parquet", "read_parquet", "read_split", "read_table",
    "ready_plan", "shapes_of", "sound_jpeg", "span_of", "split_name", "to_tensor", "verify_dataset", "verify_repository",
    "walk", "wide_photo", "xmp_of", "xmp_text",
]

_LATER = {
    **dict.fromkeys(("read_noted_parquet", "read_parquet"), "parquet"),
    **dict.fromkeys(("RecordProblem", "check_records"), "records"),
    **dict.fromkeys(("ATTRIBUTION", "Dataset", "find_places", "hash_records", "open_dataset"), "repository"),
    **dict.fromkeys(("Places", "find_splits", "split_name"), "places"),
    **dict.fromkeys(("PhotoShape", "shapes_of", "span_of"), "shapes"),
    **dict.fromkeys(("Split", "read_split"), "tables"),
    "read_table": "tablefile",
    **dict.fromkeys(("verify_dataset", "verify_repository"), "verify"),
    **dict.fromkeys(("Augment", "AugmentConfig"), "augment"),
    **dict.fromkeys(("JoinedDataset", "open_datasets"), "joined"),
    **dict.fromkeys(("Batch", "Sample", "ZoomDataset", "collate"), "torch_data"),
    **dict.fromkeys(("ReadyKind", "ReadyPhotos", "find_ready"), "ready"),
    **dict.fromkeys(("ReadyPlan", "make_ready", "ready_plan"), "readying"),
    **dict.fromkeys(("Draw", "ResumableBatchSampler"), "batches"),
    **dict.fromkeys(("halves", "normalize", "to_tensor", "wide_photo"), "transforms"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
