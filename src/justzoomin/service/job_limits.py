"""Limits of uploads and jobs, and the errors that say which limit was reached."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from justzoomin.errors import JustZoomInError


class JobLimits(BaseModel):
    """How much a client may send, how many jobs may wait, and how long results are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_photos: int = Field(5000, ge=1, description="Most photos of a job.")
    max_photo_bytes: int = Field(64 << 20, ge=1, description="Most bytes of one photo.")
    max_bytes: int = Field(8 << 30, ge=1, description="Most bytes of all photos of a job.")
    max_waiting: int = Field(16, ge=1, description="Most jobs that wait, run or are being uploaded.")
    min_free_bytes: int = Field(1 << 30, ge=0, description="Free bytes that an upload leaves on the disk.")
    keep_s: float = Field(86400.0, gt=0, description="Seconds after its end that a job is kept.")
    fetched_keep_s: float = Field(3600.0, gt=0, description="Seconds after its result was fetched that a job is kept.")


class TooLargeError(JustZoomInError):
    """An upload has too many photos or too many bytes."""


class TooManyJobsError(JustZoomInError):
    """Too many jobs wait."""


class NoSuchJobError(JustZoomInError):
    """There is no job of this id, or it has been removed."""


class NotDoneError(JustZoomInError):
    """A job has no result, or no result yet."""


class NoRoomError(JustZoomInError):
    """The disk has too little room for an upload."""
