"""Scores of all cells by the ray matcher, alone and beside the zoomer."""

import copy

import numpy as np
import pytest
import torch

import fakes
from justzoomin.data import open_dataset
from justzoomin.errors import ModelError
from justzoomin.maps import Windows, region_look
from justzoomin.models import MatcherConfig, ZoomModel
from justzoomin.search import Localizer, ViewVectors, exact, scorer, views_of
from justzoomin.search.matching import GroundMap, describe


@pytest.fixture(scope="module")
def matching():
    """A tiny zoomer with a matcher whose pieces are smaller than the region."""
    plain = fakes.tiny_model(grid=3)
    config = plain.config.model_copy(update={"matcher": MatcherConfig(
        metres_per_pixel=1.0, channels=4, ranges=4, nearest_m=3.0, reach_m=20.0, headings=4, tried=8, width=8, window_m=64.0,
        margin_m=16.0, zoom_weight=0.5)})
    return ZoomModel(config, pretrained=False, seed=3).eval()


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("matching") / "town", pixels=32, depth=3, grid=3, train=3,
                                              val=4))


def fans_of(model, count=3):
    torch.manual_seed(1)
    return torch.nn.functional.normalize(torch.randn(count, model.matcher.size), dim=1)


def test_pieces_cover_the_region_and_agree_where_they_meet(matching, town):
    ground = GroundMap(matching, town.map, town.grid)
    assert ground.lattice.windows > 1 and ground.missing == len(ground.windows)
    steps = []
    ground.describe(lambda done, total: steps.append((done, total)))
    assert steps[-1] == (len(ground.windows), len(ground.windows)) and ground.missing == 0
    features, side = ground.tree.features, ground.lattice.side
    whole = features.vectors(1, -4, -4, side + 8)
    assert torch.allclose(whole.norm(dim=0), torch.ones(side + 8, side + 8), atol=0.02)  # no gap
    part = features.vectors(1, 10, 7, 20)
    assert torch.equal(part, whole[:, 14:34, 11:31])
    assert not features.vectors(1, -50, 0, 4).any() and features.logits(1, -50, 0, 4).isneginf().all()  # outside


@pytest.mark.parametrize(("turns", "mirrored"), [(1, False), (2, False), (3, False), (0, True), (1, True)])
def test_a_description_lies_with_its_picture(matching, turns, mirrored):
    """Turned and mirrored, a piece of map is described turned and mirrored: its places, and the logits of its bearings."""
    torch.manual_seed(2)
    picture = torch.randn(3, 64, 64)
    upright = describe(matching, picture)
    other = describe(matching, (picture.flip(-1) if mirrored else picture).rot90(-turns, (1, 2)))
    places, logits = (v.rot90(turns, (1, 2)) for v in other)
    for k in range(4):  # what looked towards k x 90 degrees looks a quarter further after each turn clockwise
        seen = logits[(k + turns) % 4].flip(-1) if mirrored else logits[(k + turns) % 4]
        assert torch.allclose(seen, upright.headings[-k % 4 if mirrored else k], atol=1e-4)
    assert torch.allclose(places.flip(-1) if mirrored else places, upright.places, atol=1e-4)


def test_windows_find_places(town):
    windows = Windows(town.map, town.grid, 64.0, 16.0, 1.0)
    cell = town.grid.cell((4, 4, 4))
    east, south = windows.place([cell.centre.lat], [cell.centre.lon])
    half = town.grid.region.size_m / 2
    assert (east[0], south[0]) == pytest.approx((half, half), abs=0.01)
    number = int(windows.number(east, south)[0])
    left, top = windows.corner(number)
    assert left + 16.0 <= east[0] < left + 80.0
    assert top + 16.0 <= south[0] < top + 80.0
    assert windows.picture(number).shape == (96, 96, 3)


def test_on_a_map_it_knows_the_zoomer_has_a_say_elsewhere_not(matching, town, monkeypatch):
    vectors = ViewVectors(matching, views_of(matching, town.map, town.grid))
    torch.manual_seed(0)
    photos = torch.cat([torch.randn(2, matching.encoder.width), fans_of(matching, 2)], 1)
    found = GroundMap(matching, town.map, town.grid).pose_scores(matching.fans(photos))
    ground = torch.stack([each.logsumexp(0) for each in found]).numpy()
    monkeypatch.setattr(matching, "provenance", {})
    assert np.allclose(scorer(matching, vectors)(photos), ground, atol=1e-5)
    monkeypatch.setattr(matching, "provenance", {"maps": [{"map_hash": town.map.fingerprint()}]})
    known = scorer(matching, vectors)(photos)
    monkeypatch.setattr(matching, "provenance", {"maps": [{"map_hash": "0" * 64, "look": region_look(vectors.views)}]})
    assert np.array_equal(scorer(matching, vectors)(photos), known)  # packed again, it is still the same map
    own = {"maps": [{"map_hash": town.map.fingerprint()}]}
    for record, has_a_say in (({**own, "zoomer_trained": False}, False), ({"zoomer_trained": False, "started_from": own}, True),
                              ({"zoomer_trained": False, "started_from": "x"}, False), ({**own, "started_from": {}}, True)):
        monkeypatch.setattr(matching, "provenance", record)
        assert np.allclose(scorer(matching, vectors)(photos), known if has_a_say else ground, atol=1e-5)
    for nonsense in ("maps", 3, [3, {"look": 5}, {"look": "00" * 48}, {"look": "zz"}, {"look": [1]}]):
        monkeypatch.setattr(matching, "provenance", {"maps": nonsense})
        assert np.allclose(scorer(matching, vectors)(photos), ground, atol=1e-5)
    both = ground + matching.matcher.config.zoom_weight * exact(matching, photos, vectors, 3)
    assert np.allclose(known, both, atol=1e-4)


def test_a_localizer_answers_with_it(matching, town, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(fakes.encoded(fakes.picture(120, 60)))
    fix = Localizer(matching, town.map, town.grid, search="posterior").localize(photo)
    assert fix.regions is not None
    assert fix.decision == "within:40"


def test_a_description_that_is_not_finite_is_told_before_eight_bits_hide_it(matching, town):
    broken = copy.deepcopy(matching)
    torch.nn.init.constant_(next(broken.matcher.map_pyramid.parameters()), float("nan"))
    with pytest.raises(ModelError, match="its description of piece 0 of the map is not finite"):
        GroundMap(broken, town.map, town.grid).describe()
