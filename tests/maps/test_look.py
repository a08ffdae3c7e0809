"""The look of a region: the same for one place in other bytes, another for another place."""

import io

import numpy as np
from PIL import Image

import fakes
from justzoomin.data import open_dataset
from justzoomin.maps import GridViews, look_alike, region_look


class Recompressed(GridViews):
    """Views that went through a JPEG once more."""

    def get(self, sequence):
        file = io.BytesIO()
        Image.fromarray(super().get(sequence)).save(file, "JPEG", quality=90, subsampling=0)
        return np.asarray(Image.open(file))


def test_a_place_looks_like_itself_alone(tmp_path):
    first, other = (open_dataset(fakes.make_repository(tmp_path / str(seed), pixels=32, seed=seed)) for seed in (1, 2))
    look = region_look(GridViews(first.map, first.grid, 48))
    assert len(bytes.fromhex(look)) == 48
    assert look_alike(look, region_look(Recompressed(first.map, first.grid, 48)))
    assert not look_alike(look, region_look(GridViews(other.map, other.grid, 48)))


def test_what_is_no_look_is_like_none():
    look = "7f" * 48
    assert look_alike(look, "80" * 48) and look_alike(look, "82" * 48) and not look_alike(look, "83" * 48)
    assert not any(look_alike(look, other) for other in (None, "", "7f", "zz", 5, ["7f"], {}))
    assert not look_alike("", "")
