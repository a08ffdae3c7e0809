"""The ray matcher: geometry of fans, symmetry, where the encoder's vector stays as it was."""

import math

import numpy as np
import pytest
import torch

from justzoomin.models import Ground, MatcherConfig, RayMatcher, ZoomModel, model_preset


@pytest.fixture(scope="module")
def model() -> ZoomModel:
    return ZoomModel(model_preset("best"), seed=0).eval()


@pytest.fixture(scope="module")
def matcher(model: ZoomModel) -> RayMatcher:
    assert model.matcher is not None
    return model.matcher


def a_ground(matcher: RayMatcher, side: int, seed: int = 0) -> Ground:
    torch.manual_seed(seed)
    config = matcher.config
    return Ground(torch.randn(config.channels, side, side), torch.randn(config.headings, side, side))


def test_the_zoomer_sees_what_it_sees_without_a_matcher(model: ZoomModel) -> None:
    photos = torch.randn(3, 2, 3, 48, 48)
    plain = ZoomModel(model_preset("small"), seed=0).eval()
    with torch.no_grad():
        both = model.encode_photos(photos)
        assert torch.allclose(both[:, :plain.encoder.width], plain.encode_photos(photos), atol=1e-6)
        fans = model.fans(both)
    assert fans.shape == (3, model.matcher.size)
    assert torch.allclose(fans.norm(dim=1), torch.ones(3), atol=1e-5)


def test_an_encoder_of_its_own_starts_as_the_zoomers_and_is_saved(model: ZoomModel, tmp_path) -> None:
    config = model.config.model_copy(update={"matcher": MatcherConfig(own_encoder=True)})
    own = ZoomModel(config, seed=0).eval()
    photos, picture = torch.randn(3, 2, 3, 48, 48), torch.randn(3, 80, 80)
    with torch.no_grad():
        assert torch.allclose(own.encode_photos(photos), model.encode_photos(photos), atol=1e-6)
        for parameter in own.matcher_encoder.parameters():
            parameter.mul_(1.1)
        changed = own.encode_photos(photos)
        width = own.encoder.width
        assert torch.allclose(changed[:, :width], model.encode_photos(photos)[:, :width], atol=1e-6)
        assert not torch.allclose(own.fans(changed), model.fans(model.encode_photos(photos)), atol=1e-4)
        assert not torch.allclose(own.describe_ground(picture).places, model.describe_ground(picture).places, atol=1e-4)
        opened = ZoomModel.from_pretrained(own.save_pretrained(tmp_path / "m"))
        assert torch.equal(opened.encode_photos(photos), changed)
    assert opened.fingerprint() == own.fingerprint()


def test_a_fan_lies_where_its_pose_looks(matcher: RayMatcher) -> None:
    """One bright place is seen by a pose exactly in the direction and distance it lies."""
    side, spot = 64, (20, 44)
    places = torch.zeros(matcher.config.channels, side, side)
    places[:, spot[0], spot[1]] = 1.0
    ground = Ground(places, torch.zeros(matcher.config.headings, side, side))
    south, east = ((v + 0.5) * matcher.place_m for v in spot)
    ray, step = matcher.rays // 2 + 2, 5
    bearing = 0.7
    away, towards = float(matcher.ranges_m[step]), bearing + float(matcher.azimuths[ray])
    stand = torch.tensor([east - away * math.sin(towards)]), torch.tensor([south + away * math.cos(towards)])
    seen = matcher.read(ground, *stand, torch.tensor([bearing])).view(matcher.rays, matcher.config.ranges, -1).sum(-1)
    assert seen.argmax().item() == ray * matcher.config.ranges + step
    expected = matcher.config.channels / math.sqrt(matcher.rays * matcher.config.ranges)
    assert seen[ray, step].item() == pytest.approx(expected, rel=1e-4)


def test_turned_with_its_map_a_pose_sees_the_same(matcher: RayMatcher) -> None:
    ground = a_ground(matcher, 48)
    turned = Ground(ground.places.rot90(-1, (1, 2)), ground.headings)
    edge = 48 * matcher.place_m
    east, south, bearing = torch.tensor([50.0, 61.3]), torch.tensor([70.0, 33.3]), torch.tensor([0.3, 4.0])
    before = matcher.read(ground, east, south, bearing)
    after = matcher.read(turned, edge - south, east, bearing + math.pi / 2)
    assert torch.allclose(before, after, atol=1e-4)


def test_beyond_the_map_there_is_nothing_to_see(matcher: RayMatcher) -> None:
    far = torch.tensor([-500.0]), torch.tensor([-500.0]), torch.tensor([0.0])
    assert matcher.read(a_ground(matcher, 16), *far).abs().max() == 0


def test_the_prior_goes_round_the_compass(matcher: RayMatcher) -> None:
    ground = a_ground(matcher, 16)
    place = torch.full((2,), 17.0), torch.full((2,), 17.0)
    north = matcher.prior(ground, *place, torch.tensor([0.0, 2 * math.pi]))
    assert north[0].item() == pytest.approx(north[1].item(), abs=1e-4)
    half = math.pi / matcher.config.headings
    between = matcher.prior(ground, *place, torch.tensor([0.0, half]))
    neighbour = matcher.prior(ground, *place, torch.tensor([2 * half, half]))
    assert between[1].item() == pytest.approx((between[0].item() + neighbour[0].item()) / 2, abs=1e-4)


def test_the_ground_is_described_in_unit_vectors(model: ZoomModel) -> None:
    with torch.no_grad():
        ground = model.describe_ground(torch.randn(3, 128, 128))
    assert ground.places.shape == (16, 32, 32)
    assert ground.headings.shape == (16, 32, 32)
    assert torch.allclose(ground.places.norm(dim=0), torch.ones(32, 32), atol=1e-4)


def test_flat_ground_is_looked_for_at_its_row(matcher: RayMatcher) -> None:
    """Nearer ground is lower in a photo."""
    rows = ZoomModel(model_preset("best"), seed=1).matcher.row_bias.argmax(0).numpy()  # (R,)
    assert (np.diff(rows) <= 0).all()
    assert rows[0] == matcher.rows - 1


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="nearest_m"):
        MatcherConfig(nearest_m=50.0, reach_m=45.0)


def test_a_saved_model_has_its_matcher(model: ZoomModel, tmp_path) -> None:
    opened = ZoomModel.from_pretrained(model.save_pretrained(tmp_path / "m"))
    assert opened.fingerprint() == model.fingerprint()
    photos = torch.randn(1, 2, 3, 48, 48)
    with torch.no_grad():
        assert torch.equal(opened.encode_photos(photos), model.encode_photos(photos))
