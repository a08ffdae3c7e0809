"""Augmentation: repeatable, in range, and the root view is left alone."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from justzoomin.data import Augment, AugmentConfig, halves

ALWAYS = AugmentConfig(jpeg_p=1, jitter_p=1, grey_p=0.5, blur_p=1, dropout_p=1)


def batch(count=6, size=32, wide=True):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size * (2 if wide else 1)), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("config", [AugmentConfig(), ALWAYS])
def test_the_seed_says_everything(config):
    augment, wide = Augment(config), batch()
    first = augment.photos(wide, 5)
    torch.rand(7)  # whatever was drawn in between
    torch.manual_seed(99)
    assert torch.equal(first, augment.photos(wide, 5)) and torch.equal(first, Augment(config).photos(wide, 5))
    assert not torch.equal(first, augment.photos(wide, 6))
    views, keep = batch(wide=False), torch.zeros(6, dtype=torch.bool)
    assert torch.equal(augment.views(views, 5, keep), Augment(config).views(views, 5, keep))
    assert not torch.equal(augment.views(views, 5, keep), augment.views(views, 6, keep))


def test_the_global_random_state_is_left_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Augment(ALWAYS).photos(batch(), 5)
    Augment(ALWAYS).views(batch(wide=False), 5, torch.zeros(6, dtype=torch.bool))
    assert torch.equal(torch.rand(4), expected)


def test_values_stay_in_range_and_shapes_hold():
    wide = batch()
    for seed in range(5):
        photos = Augment(ALWAYS).photos(wide, seed)
        assert photos.shape == (6, 2, 3, 32, 32) and photos.dtype == torch.float32
        assert photos.min() >= 0 and photos.max() <= 1 and torch.isfinite(photos).all()
    assert torch.equal(wide, batch())  # the input is not changed


def test_the_root_view_is_never_touched():
    views, keep = batch(wide=False), torch.tensor([True, False, False, False, False, False])
    changed = Augment(ALWAYS).views(views, 2, keep)
    plain = views.float() / 255
    assert torch.equal(changed[0], plain[0])
    assert all(not torch.equal(changed[k], plain[k]) for k in range(1, 6))
    assert torch.equal(Augment(ALWAYS).views(views, 2, torch.ones(6, dtype=torch.bool)), plain)


def test_disabled_is_plain():
    wide, views = batch(), batch(wide=False)
    off = Augment(AugmentConfig(enabled=False))
    assert torch.equal(off.photos(wide, 1), halves(wide).float() / 255)
    assert torch.equal(off.views(views, 1, torch.zeros(6, dtype=torch.bool)), views.float() / 255)
    only_photos = Augment(AugmentConfig(views=False))
    assert torch.equal(only_photos.views(views, 1, torch.zeros(6, dtype=torch.bool)), views.float() / 255)
    silent = Augment(AugmentConfig(jpeg_p=0, jitter_p=0, grey_p=0, blur_p=0, dropout_p=0))
    assert torch.equal(silent.photos(wide, 1), halves(wide).float() / 255)


def test_dropout_hits_the_share_it_says_and_each_half_alone():
    config = AugmentConfig(jpeg_p=0, jitter_p=0, grey_p=0, blur_p=0, dropout_p=0.3)
    photos = Augment(config).photos(torch.full((300, 3, 16, 32), 200, dtype=torch.uint8), 4)
    hit = (photos == 0).flatten(2).any(-1)  # (B, 2)
    assert 0.22 < hit.float().mean() < 0.38
    assert (hit[:, 0] != hit[:, 1]).any()
    holes = (photos == 0).float().flatten(2).mean(-1)[hit]
    assert holes.min() > 0.02 and holes.max() < 0.95


def test_grey_hits_photos_only():
    config = AugmentConfig(jpeg_p=0, jitter_p=0, grey_p=1, blur_p=0, dropout_p=0)
    photos = Augment(config).photos(batch(), 1)
    assert torch.allclose(photos[:, :, 0], photos[:, :, 2], atol=1e-6)


def test_settings_are_checked():
    for wrong in ({"jpeg_p": 1.5}, {"hue": 0.7}, {"typo": 1}, {"crop_scale": (0.9, 0.7)}, {"crop_scale": (0.5, 1.5)},
                  {"jpeg_quality": (0.0, 90.0)}):
        with pytest.raises(ValidationError):
            AugmentConfig(**wrong)
    assert np.isclose(AugmentConfig().dropout_p, 0.3)
