"""The look of a region: the same for one place in other bytes, another for another place."""

import io

import numpy as np
from PIL import Image

import fakes
from justzoomin.data import open_dataset
from justzoomin.maps import look_alike, region_look


class Recompressed:
    """A map whose views went through a coarse JPEG once more."""

    def __init__(self, source):
        self.source = source

    def view(self, *where):
        seen = self.source.view(*where)
        file = io.BytesIO()
        Image.fromarray(seen.pixels).save(file, "JPEG", quality=60)
        return type(seen)(np.asarray(Image.open(file)), seen.square, seen.no_data, seen.level)


def test_a_place_looks_like_itself_alone(tmp_path):
    first, other = (open_dataset(fakes.make_repository(tmp_path / str(seed), pixels=32, seed=seed)) for seed in (1, 2))
    look = region_look(first.map, first.grid)
    assert len(bytes.fromhex(look)) == 48
    assert look_alike(look, region_look(Recompressed(first.map), first.grid))
    assert not look_alike(look, region_look(other.map, other.grid))


def test_what_is_no_look_is_like_none():
    look = "7f" * 48
    assert look_alike(look, "80" * 48) and look_alike(look, "82" * 48) and not look_alike(look, "83" * 48)
    assert not any(look_alike(look, other) for other in (None, "", "7f", "zz", 5, ["7f"], {}))
    assert not look_alike("", "")
