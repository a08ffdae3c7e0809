"""What an audit's numbers mean for reported recall, in sentences that the numbers carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from justzoomin.checks.leak_audit import AuditReport, SharedSequences

BESIDE_M, NEAR_M, FAR_M = 10.0, 50.0, 100.0
MOST = 0.5
HARDLY = 0.01


def split_kind(report: AuditReport) -> str:
    """The kind of a split by its distances.

    `beside`: most validation photos stand within 10 m of a training photo; `near`: most within 50 m; `apart`: at most
    1 % within 50 m; `mixed`: anything else.
    """
    if report.within(BESIDE_M) >= MOST:
        return "beside"
    if report.within(NEAR_M) >= MOST:
        return "near"
    return "apart" if report.within(NEAR_M) <= HARDLY else "mixed"


def meaning(report: AuditReport) -> tuple[str, ...]:
    """Two to four sentences: doubled photos, distances, the oracle's recall, drives."""
    sentences = [*_doubled(report), _distances(report)]
    oracle = {radius: 100 * report.within(radius) for radius in (40.0, 50.0, 100.0)}
    if oracle[100.0] >= 100 * HARDLY:
        figures = ", ".join(f"{_percent(value / 100)} at {radius:g} m" for radius, value in oracle.items())
        sentences.append("Naming the position of the nearest training photo, without any map, would give a recall of "
                         f"{figures}: "
                         "recall up to these figures does not by itself show that photos are matched to the map.")
    sentences.append(_drives(report.sequences, len(report.val)))
    return tuple(sentences)


def _doubled(report: AuditReport) -> list[str]:
    doubled = {val for val, _ in report.same_bytes or ()} | set(report.same_ids)
    if not doubled:
        return []
    return [f"{len(doubled):,} of {len(report.val):,} validation photos are training photos as well: take them out of one "
            "split "
            "before reporting anything."]


def _distances(report: AuditReport) -> str:
    median, least = float(np.median(report.distances_m)), float(report.distances_m.min())
    near, kind = _percent(report.within(NEAR_M)), split_kind(report)
    if kind == "beside":
        return (f"{_percent(report.within(BESIDE_M))} of validation photos stand within {BESIDE_M:g} m of a training photo "
                "(median "
                f"{median:.3g} m): recall there can come from memory of those photos as well as from matching to the map.")
    if kind == "near":
        return (f"{near} of validation photos stand within {NEAR_M:g} m of a training photo (median {median:.3g} m): recall "
                "there can come in part from memory of the same surroundings.")
    if kind == "apart":
        start = f"No validation photo stands within {NEAR_M:g} m of a training photo" if report.within(NEAR_M) == 0 else \
            f"Only {near} of validation photos stand within {NEAR_M:g} m of a training photo"
        cannot = "cannot" if report.within(NEAR_M) == 0 else "can hardly"
        return (f"{start} (nearest {least:,.3g} m, median {median:,.3g} m): recall within {NEAR_M:g} m {cannot} come from "
                "naming the place of a training photo.")
    far = _percent(1 - report.within(FAR_M))
    return (f"{near} of validation photos stand within {NEAR_M:g} m of a training photo and {far} farther than {FAR_M:g} m: "
            "report "
            "recall for the two apart, for the first can come from memory.")


def _drives(shared: SharedSequences | None, photos: int) -> str:
    if shared is None:
        return ("No table says which drive a photo belongs to, so it is not known whether both splits hold photos of one "
                "drive.")
    known = "" if shared.val_known == photos else f" of the {shared.val_known:,} whose drive is known"
    if shared.val_photos == 0:
        return (f"No drive has photos in both splits ({shared.where}, column {shared.column}"
                f"{known.replace(' of the', '; for the') if known else ''}).")
    return (f"{_percent(shared.val_photos / shared.val_known)} of validation photos{known} come from drives that training "
            "photos "
            "come from as well: the same camera on the same outing.")


def _percent(share: float) -> str:
    """A share as a percentage that never says 0 or 100 of what is not none or all."""
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1 %"
    if 99.9 < value < 100:
        return "over 99.9 %"
    return f"{value:.3g} %" if value < 99.95 or share == 1.0 else f"{value:.1f} %"
