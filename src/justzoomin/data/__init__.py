"""Datasets: repositories in the card's layout, split tables, photos, torch datasets, augmentation."""

from justzoomin.data.augment import Augment, AugmentConfig
from justzoomin.data.photos import decode_photo
from justzoomin.data.repository import Dataset, find_splits, open_dataset
from justzoomin.data.tables import RecordProblem, Split, check_records, read_split
from justzoomin.data.torch_data import Batch, ResumableBatchSampler, Sample, ZoomDataset, collate, view_numbers
from justzoomin.data.transforms import halves, normalize, to_tensor, wide_photo
from justzoomin.data.verify import VerifyReport, verify_dataset

__all__ = [
    "Augment", "AugmentConfig", "Batch", "Dataset", "RecordProblem", "ResumableBatchSampler", "Sample", "Split",
    "VerifyReport", "ZoomDataset", "check_records", "collate", "decode_photo", "find_splits", "halves", "normalize",
    "open_dataset", "read_split", "to_tensor", "verify_dataset", "view_numbers", "wide_photo",
]
