"""Datasets: repositories in the card's layout, split tables, photos, torch datasets, augmentation."""

from justzoomin.data.audit import AuditReport, SharedCells, SharedSequences, audit
from justzoomin.data.augment import Augment, AugmentConfig
from justzoomin.data.findings import VerifyReport
from justzoomin.data.galleries import Gallery
from justzoomin.data.photos import decode_photo, exif_orientation
from justzoomin.data.publish import publish_check
from justzoomin.data.records import RecordProblem, check_records
from justzoomin.data.repository import ATTRIBUTION, Dataset, find_splits, hash_records, open_dataset, split_name
from justzoomin.data.rights import PublishItem
from justzoomin.data.tables import Split, read_split
from justzoomin.data.torch_data import Batch, ResumableBatchSampler, Sample, ZoomDataset, collate, view_numbers
from justzoomin.data.transforms import halves, normalize, to_tensor, wide_photo
from justzoomin.data.verify import verify_dataset, verify_repository

__all__ = [
    "ATTRIBUTION", "AuditReport", "Augment", "AugmentConfig", "Batch", "Dataset", "Gallery", "PublishItem", "RecordProblem",
    "ResumableBatchSampler", "Sample", "SharedCells", "SharedSequences", "Split", "VerifyReport", "ZoomDataset", "audit",
    "check_records", "collate", "decode_photo", "exif_orientation", "find_splits", "halves", "hash_records", "normalize",
    "open_dataset", "publish_check", "read_split", "split_name", "to_tensor", "verify_dataset", "verify_repository",
    "view_numbers", "wide_photo",
]
