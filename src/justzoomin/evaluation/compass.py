"""Headings that a dataset states for its photos, as what is known before a search: an evaluation with a compass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from justzoomin.data import Dataset
from justzoomin.errors import DataError
from justzoomin.posterior import DEFAULT_SIGMA_DEG, HeadingPrior


@dataclass(frozen=True)
class Compass:
    """A compass beside the photos of a dataset: its stated headings, with an error.

    Attributes:
        sigma_deg: Spread of the priors.
        noise_deg: Standard deviation of a Gaussian error that is added to the stated headings.
        seed: Seed of the errors.
    """

    sigma_deg: float = DEFAULT_SIGMA_DEG
    noise_deg: float = 0.0
    seed: int = 0

    def headings(self, dataset: Dataset, split: str) -> list[HeadingPrior | None]:
        """Return a prior for each photo of a split, None where the dataset states no heading.

        Raises:
            DataError: If it states no heading for any photo.
        """
        stated = dataset.bearings(split)
        if not np.isfinite(stated).any():
            raise DataError(f"split {split}", "its tables state no headings",
                            "Add a column bearing_deg, or leave headings out.")
        errors = np.random.default_rng(self.seed).normal(0.0, 1.0, len(stated)) * self.noise_deg
        return [HeadingPrior(float(heading + error) % 360.0, self.sigma_deg, origin="bearing_deg") if np.isfinite(heading) else
                None for heading, error in zip(stated, errors, strict=True)]

    def __str__(self) -> str:
        return f"bearing_deg with an error of {self.noise_deg:g} degrees, taken as {self.sigma_deg:g} degrees"
