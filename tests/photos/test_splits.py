"""The laws of splitting: disjoint, complete, independent of order and other photos, guarded, groups kept together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from justzoomin.errors import ConfigError
from justzoomin.geometry import from_local, haversine_m
from justzoomin.photos import Splits, SplitSettings, assign_splits
from justzoomin.photos.readers import PhotoRecord

CENTRE = (54.5, 3.0)


def photo(number: int, east: float = 0.0, north: float = 0.0, sequence: str | None = None) -> PhotoRecord:
    lat, lon = from_local(*CENTRE, east, north)
    return PhotoRecord(f"p{number}", Path(f"p{number}.jpg"), float(lat), float(lon), "test", sequence_id=sequence)


places = st.tuples(st.floats(-400, 400), st.floats(-400, 400), st.sampled_from([None, "a", "b", "c", "d", "e", "f"]))
photos = st.lists(places, min_size=2, max_size=40).map(lambda rows: [photo(k, *row) for k, row in enumerate(rows)])
kinds = st.builds(SplitSettings, kind=st.sampled_from(["photo", "sequence", "block"]), val_share=st.floats(0.1, 0.6),
                  seed=st.integers(0, 99), block_m=st.sampled_from([30.0, 100.0, 250.0]),
                  guard_m=st.sampled_from([0.0, 20.0, 60.0]))


def split(records: list[PhotoRecord], settings_: SplitSettings) -> Splits | None:
    try:
        return assign_splits(records, settings_, CENTRE)
    except ConfigError:
        return None


def names(records: list[PhotoRecord], indexes: tuple[int, ...]) -> set[str]:
    return {records[k].image_id for k in indexes}


@settings(max_examples=80)
@given(photos, kinds, st.randoms(use_true_random=False))
def test_laws(records: list[PhotoRecord], wanted: SplitSettings, random: object) -> None:
    found = split(records, wanted)
    assume(found is not None)
    together = [*found.train, *found.val, *found.guarded]
    assert sorted(together) == list(range(len(records))), "every photo once"
    assert found.train
    assert found.val

    shuffled = list(records)
    random.shuffle(shuffled)
    other = split(shuffled, wanted)
    for part in ("train", "val", "guarded"):
        assert names(records, getattr(found, part)) == names(shuffled, getattr(other, part))

    if wanted.kind == "sequence":
        train, val = ({records[k].sequence_id for k in part} - {None} for part in (found.train, found.val))
        assert not train & val
    if wanted.kind == "block":
        lat, lon = (np.array([getattr(r, key) for r in records]) for key in ("lat", "lon"))
        val = list(found.val)
        for index in (*found.train, *found.guarded):
            nearest = haversine_m(lat[index], lon[index], lat[val], lon[val]).min()
            assert (nearest < wanted.guard_m) == (index in found.guarded)
    else:
        assert not found.guarded


@settings(max_examples=40)
@given(photos, photos, kinds)
def test_further_photos_do_not_move_the_others(records: list[PhotoRecord], more: list[PhotoRecord],
                                               wanted: SplitSettings) -> None:
    further = [PhotoRecord("n" + r.image_id, r.path, r.lat, r.lon, r.source, sequence_id=r.sequence_id) for r in more]
    before, after = split(records, wanted), split([*records, *further], wanted)
    assume(before is not None and after is not None)
    assert set(before.val) == {k for k in after.val if k < len(records)}


@pytest.mark.parametrize("kind", ["photo", "sequence", "block"])
def test_the_share_is_honoured(kind: str) -> None:
    rng = np.random.default_rng(1)
    records = [photo(k, *rng.uniform(-5000, 5000, 2), sequence=f"s{k // 10}") for k in range(6000)]
    found = assign_splits(records, SplitSettings(kind=kind, val_share=0.2, guard_m=0.0), CENTRE)
    assert len(found.val) / len(records) == pytest.approx(0.2, abs=0.03)
    assert not found.notes
    other = assign_splits(records, SplitSettings(kind=kind, val_share=0.2, guard_m=0.0, seed=1), CENTRE)
    assert set(other.val) != set(found.val)


def test_an_empty_split_names_a_seed_that_works() -> None:
    records = [photo(k) for k in range(3)]
    empty = next(s for s in range(50) if split(records, SplitSettings(seed=s)) is None)
    with pytest.raises(ConfigError, match=r"split val: the split is empty: by chance it got none of 3 photos") as caught:
        assign_splits(records, SplitSettings(seed=empty), CENTRE)
    seed = int(caught.value.remedy.split("--seed ")[1].split(",")[0])
    assert assign_splits(records, SplitSettings(seed=seed), CENTRE).val


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(ConfigError, match=r"all 4 photos form a single block\. Use --split photo"):
        assign_splits([photo(k, 10.0, 10.0) for k in range(4)], SplitSettings(kind="block"), CENTRE)
    with pytest.raises(ConfigError, match=r"split val: the split is empty: only one photo can be used\. Import more photos"):
        assign_splits([photo(0)], SplitSettings(), CENTRE)


def test_a_guard_that_leaves_nothing_is_refused() -> None:
    wanted = SplitSettings(kind="block", val_share=0.5, block_m=10.0, guard_m=5000.0)
    with pytest.raises(ConfigError, match=r"--guard-m: all .* training photos are within 5000 m"):
        assign_splits([photo(k, 15.0 * k) for k in range(12)], wanted, CENTRE)


def test_photos_without_a_sequence_are_reported() -> None:
    records = [photo(k, sequence="a" if k % 2 else None) for k in range(40)]
    found = assign_splits(records, SplitSettings(kind="sequence"), CENTRE)
    assert "20 of 40 photos have no sequence; each was treated as a sequence of its own" in found.notes
