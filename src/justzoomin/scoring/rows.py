"""A row of a table: a method's answers photo by photo, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from justzoomin.errors import DataError
from justzoomin.scoring.resampling import Figure, Floats, Resampling, interval, percent

DEFAULT_RADII_M = (40.0, 50.0, 100.0)


@dataclass(frozen=True)
class Row:
    """A method's answers to N photos.

    A row may hold several answers to each photo, all of equal weight: those of several seeds, or those of chance, which
    answers with every cell. Its figures are means over them.

    Attributes:
        name: Name of the row.
        errors_m: Distances (N, M) in metres from the answers to the photo's position.
        correct: Share (N,) of the answers in the true terminal cell.
        ranks: Number (N, R) of cells that the method ranks before the true one; infinite if it does not list the true cell.
            None if the method ranks no cells. A shape of (1, R) applies to all photos.
        cell_m: Edge of a terminal cell in metres.
        listed: Number of cells up to which ranks are known; None if all are known.
    """

    name: str
    errors_m: Floats
    correct: Floats
    ranks: Floats | None
    cell_m: float
    listed: int | None = None

    def __len__(self) -> int:
        return len(self.errors_m)

    def within(self, radius_m: float) -> Floats:
        """Return the share (N,) of the answers within a distance in metres."""
        return np.asarray((self.errors_m <= radius_m).mean(1))

    def in_area(self, area_m2: float) -> Floats | None:
        """Return the share (N,) of the answers whose best-ranked cells of that area hold the photo; None if unknown."""
        cells = np.floor(area_m2 / self.cell_m**2 + 1e-9)
        if self.ranks is None or (self.listed is not None and cells > self.listed):
            return None
        return np.broadcast_to((self.ranks < cells).mean(1), len(self))

    def medians(self, resampling: Resampling) -> Floats:
        """Return the median error (R,) in every draw of photos; one of several answers is drawn with each photo."""
        if self.errors_m.shape[1] == 1:
            return resampling.medians(self.errors_m[:, 0])
        rng = np.random.default_rng(resampling.seed + 1)
        found = np.empty(resampling.draws)
        for at, weights in enumerate(resampling.weights()):
            photos = np.repeat(np.arange(len(self)), weights[resampling.groups].astype(np.int64))
            found[at] = np.median(self.errors_m[photos, rng.integers(0, self.errors_m.shape[1], len(photos))])
        return found


@dataclass(frozen=True)
class Score:
    """Figures over N photos: percentages for recalls, metres for errors.

    `recall_at_area` maps an area in square metres to the percentage of photos whose position is in the best-ranked cells of
    that area; None if the ranking is not known that far.
    """

    recall_at_1: Figure
    recall_at_m: dict[float, Figure]
    median_m: Figure
    mean_m: Figure
    recall_at_area: dict[float, Figure | None] = field(default_factory=dict)


def score_row(row: Row, radii_m: Sequence[float] = DEFAULT_RADII_M, areas_m2: Sequence[float] = (),
              resampling: Resampling | None = None) -> Score:
    """Return the figures of a row with intervals at 95 %.

    In draws of photos, percentages have Wilson's interval and metres the bootstrap's. In draws of drives, all figures have
    the bootstrap's.

    Args:
        row: The row.
        radii_m: Radii X of R@Xm in metres.
        areas_m2: Areas of recall against area in square metres.
        resampling: The draws; single photos if None.

    Raises:
        DataError: If there are no photos.
    """
    if not len(row):
        raise DataError("evaluation", "there are no photos to score", "Choose a split that holds photos.")
    draws = resampling or Resampling.of_photos(len(row))
    areas = {a: row.in_area(a) for a in areas_m2}
    known = {a: v for a, v in areas.items() if v is not None}
    errors = row.errors_m.mean(1)
    shares = [row.correct, *(row.within(r) for r in radii_m), *known.values()]
    drawn = draws.means(np.stack([*shares, errors], 1))
    single = draws.count == len(row)
    figures = [_percentage(share, drawn[:, k], single) for k, share in enumerate(shares)]
    at_area = dict(zip(known, figures[1 + len(radii_m):], strict=True))
    return Score(figures[0], dict(zip(radii_m, figures[1:1 + len(radii_m)], strict=True)),
                 interval(float(np.median(row.errors_m)), row.medians(draws)), interval(float(errors.mean()), drawn[:, -1]),
                 {a: at_area.get(a) for a in areas})


def share_figure(hits: npt.NDArray[np.bool_], resampling: Resampling) -> Figure:
    """Return the percentage of hits (N,) with the interval that `score_row` gives a recall."""
    share = hits.astype(np.float64)
    return _percentage(share, resampling.means(share[:, None])[:, 0], resampling.count == len(share))


def _percentage(share: Floats, drawn: Floats, single: bool) -> Figure:
    """Return the percentage of a share (N,): Wilson's interval for hits and misses of single photos, else the bootstrap's."""
    hits: npt.NDArray[np.bool_] = share == 1
    if single and bool((hits | (share == 0)).all()):
        return percent(hits)
    return interval(100 * float(share.mean()), 100 * drawn)
