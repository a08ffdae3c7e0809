import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from justzoomin.errors import ModelError
from justzoomin.models import Decoder, DecoderConfig
from justzoomin.models.decoder import feed_forward_width

WIDTH = 24


def make(width=None, grid=4, seed=0):
    torch.manual_seed(seed)
    config = DecoderConfig(width=width, blocks=2, heads=3, ffn_multiple_of=8)
    return Decoder(config, WIDTH, grid**2).eval()


def inputs(batch, depth, grid=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, WIDTH, generator=generator), torch.randn(batch, depth, WIDTH, generator=generator),
            torch.randint(0, grid**2, (batch, depth), generator=generator))


@settings(max_examples=25, deadline=None)
@given(batch=st.integers(1, 4), depth=st.integers(1, 7), grid=st.integers(2, 8), width=st.sampled_from([None, 12, 36]),
       seed=st.integers(0, 99))
def test_cached_decoding_equals_the_full_pass(batch, depth, grid, width, seed):
    decoder = make(width, grid, seed)
    photo, views, actions = inputs(batch, depth, grid, seed)
    with torch.no_grad():
        full = decoder(photo, views, actions)
        cache = decoder.begin(photo)
        for step in range(depth):
            logits = decoder.step(views[:, step], actions[:, step - 1] if step else None, cache)
            torch.testing.assert_close(logits, full[:, step], atol=1e-5, rtol=1e-5)
    assert full.shape == (batch, depth, grid**2)
    assert cache.length == 2 * depth


@settings(max_examples=15, deadline=None)
@given(depth=st.integers(2, 6), cut=st.integers(1, 5), seed=st.integers(0, 99))
def test_later_views_and_actions_do_not_change_earlier_logits(depth, cut, seed):
    cut = min(cut, depth - 1)
    decoder = make(seed=seed)
    photo, views, actions = inputs(2, depth, seed=seed)
    other_views, other_actions = views.clone(), actions.clone()
    other_views[:, cut:] += 1.0
    other_actions[:, cut - 1:] = (other_actions[:, cut - 1:] + 1) % 16
    with torch.no_grad():
        one, other = decoder(photo, views, actions), decoder(photo, other_views, other_actions)
    torch.testing.assert_close(one[:, :cut], other[:, :cut])
    assert not torch.allclose(one[:, cut], other[:, cut])


def test_every_earlier_token_matters():
    decoder = make()
    photo, views, actions = inputs(1, 4)
    with torch.no_grad():
        last = decoder(photo, views, actions)[:, -1]
        changed = [decoder(photo + 1, views, actions), decoder(photo, views, (actions + 1) % 16)]
        for step in range(4):
            moved = views.clone()
            moved[:, step] += 1
            changed.append(decoder(photo, moved, actions))
    assert all(not torch.allclose(last, logits[:, -1]) for logits in changed)


def test_the_last_action_may_be_left_out():
    decoder = make()
    photo, views, actions = inputs(2, 4)
    torch.testing.assert_close(decoder(photo, views, actions), decoder(photo, views, actions[:, :-1]))


def test_a_selected_cache_carries_on_as_those_rows():
    decoder = make()
    photo, views, actions = inputs(3, 2)
    rows = torch.tensor([2, 0, 0, 1])
    with torch.no_grad():
        cache = decoder.begin(photo)
        decoder.step(views[:, 0], None, cache)
        picked = decoder.step(views[rows, 1], actions[rows, 0], cache.select(rows))
        whole = decoder.step(views[:, 1], actions[:, 0], cache)
    torch.testing.assert_close(picked, whole[rows])


def test_a_photo_before_and_after_differ_by_position():
    """Rotary positions: the same view twice is told apart."""
    decoder = make()
    photo, views, actions = inputs(1, 1)
    with torch.no_grad():
        logits = decoder(photo, views.expand(1, 3, WIDTH), actions.expand(1, 3))
    assert not torch.allclose(logits[:, 1], logits[:, 2])


def test_published_sizes():
    assert feed_forward_width(768, 256) == 512
    decoder = Decoder(DecoderConfig(), 768, 16)
    per_block = 4 * 768**2 + 3 * 768 * 512 + 2 * 768
    assert sum(p.numel() for p in decoder.parameters()) == 6 * per_block + 2 * 16 * 768 + 768
    assert not any(name.endswith("bias") for name, _ in decoder.named_parameters())
    assert not any(name.startswith("project") for name in decoder.state_dict())


def test_a_projection_only_where_widths_differ():
    assert make(36).state_dict()["project.weight"].shape == (36, WIDTH)


def test_misuse_is_told():
    with pytest.raises(ModelError, match="cannot be divided into 5 heads"):
        Decoder(DecoderConfig(heads=5), 24, 16)
    with pytest.raises(ModelError, match="cannot be divided into 8 heads of an even width"):
        Decoder(DecoderConfig(heads=8), 24, 16)
    decoder = make()
    photo, views, actions = inputs(1, 3)
    cache = decoder.begin(photo)
    with pytest.raises(ModelError, match="the first view was given an action"):
        decoder.step(views[:, 0], actions[:, 0], cache)
    decoder.step(views[:, 0], None, cache)
    with pytest.raises(ModelError, match="view 1 was given no action"):
        decoder.step(views[:, 1], None, cache)
    with pytest.raises(ModelError, match=r"need actions of shape \(1, 2\) or \(1, 3\), not \(1, 1\)"):
        decoder(photo, views, actions[:, :1])
