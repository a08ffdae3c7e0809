"""Laws of the contrastive loss, of the references of a batch and of neighbours in the embedding."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from justzoomin.data import ResumableBatchSampler
from justzoomin.geometry import Region, ZoomGrid
from justzoomin.posterior import lattice
from justzoomin.training import info_nce
from justzoomin.training.contrast import NEAR_CELLS, choose_references
from justzoomin.training.mining import neighbours

GRID = ZoomGrid(Region(54.5, 3.0, (-80.0, 80.0), (-80.0, 80.0)), 4, 2)


def everything(logits: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(logits, dtype=torch.bool)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("photos", "views"), [(5, 5), (4, 9)])
def test_with_identical_vectors_every_choice_is_as_good(photos: int, views: int, smoothing: float) -> None:
    """All similarities equal: the loss is half the logarithm of the number of views and half that of the photos."""
    logits = torch.full((photos, views), 7.0)
    loss = info_nce(logits, torch.arange(photos), everything(logits), torch.ones(photos, dtype=torch.bool), smoothing)
    assert torch.allclose(loss, torch.full((photos,), 0.5 * (math.log(views) + math.log(photos))))


def test_it_is_the_mean_of_two_cross_entropies_where_no_two_photos_share_a_view() -> None:
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    target = torch.arange(6)
    loss = info_nce(logits, target, everything(logits), torch.ones(6, dtype=torch.bool), 0.1)
    entropy = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(loss, 0.5 * (entropy(logits, target) + entropy(logits.T, target)))


def test_a_photo_of_the_same_view_is_no_negative() -> None:
    """A second photo of a view changes nothing about the first, whatever it looks like."""
    generator = torch.Generator().manual_seed(2)
    logits, target = torch.randn(4, 4, generator=generator), torch.arange(4)
    alone = info_nce(logits, target, everything(logits), torch.ones(4, dtype=torch.bool), 0.1)
    for height in (-5.0, 0.0, 50.0):
        more = torch.cat([logits, torch.full((1, 4), -30.0)])
        more[4, 2] = height
        loss = info_nce(more, torch.tensor([0, 1, 2, 3, 2]), everything(more), torch.ones(5, dtype=torch.bool), 0.0)
        plain = info_nce(logits, target, everything(logits), torch.ones(4, dtype=torch.bool), 0.0)
        torch.testing.assert_close(loss[2], plain[2])
    more[4, 0] = 3.0  # but it is one of the other views
    changed = info_nce(more, torch.tensor([0, 1, 2, 3, 2]), everything(more), torch.ones(5, dtype=torch.bool), 0.1)
    assert changed[0] > alone[0]


def test_a_pair_that_is_not_allowed_contributes_nothing() -> None:
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(3), requires_grad=True)
    target, allowed = torch.tensor([0, 1, 2]), torch.ones(3, 5, dtype=torch.bool)
    allowed[0, 3] = allowed[1, 0] = False
    info_nce(logits, target, allowed, torch.ones(3, dtype=torch.bool), 0.1).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0, 3] == 0 and logits.grad[1, 0] == 0
    assert (logits.grad[allowed] != 0).all()


def test_a_photo_that_stands_in_for_none_is_no_negative() -> None:
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(4), requires_grad=True)
    real = torch.tensor([True, True, False])
    (info_nce(logits, torch.arange(3), everything(logits), real, 0.1) * real).sum().backward()
    assert logits.grad is not None and (logits.grad[2] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_references_hold_each_true_cell_once_and_negatives_of_the_same_maps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps, cells = rng.integers(1, 4, 30), rng.integers(0, 256, 30)
    chosen = choose_references(maps, cells, lattice(GRID), 40, seed)
    keys = chosen.maps * 256 + chosen.cells
    assert len(set(keys.tolist())) == len(keys) > len(set((maps * 256 + cells).tolist()))
    assert (chosen.maps[chosen.target] == maps).all() and (chosen.cells[chosen.target] == cells).all()
    assert set(chosen.maps.tolist()) <= set(maps.tolist())
    again = choose_references(maps, cells, lattice(GRID), 40, seed)
    assert all((a == b).all() for a, b in zip(chosen, again, strict=True))


def test_half_of_the_negatives_are_near() -> None:
    cells = lattice(GRID)
    here = int(np.flatnonzero((cells.row == 2) & (cells.col == 13))[0])
    chosen = choose_references(np.zeros(1, np.int64), np.array([here]), cells, 1000, 0)
    away = np.maximum(abs(cells.row[chosen.cells] - 2), abs(cells.col[chosen.cells] - 13))
    near = (2 * NEAR_CELLS + 1) ** 2
    assert int((away <= NEAR_CELLS).sum()) >= 0.5 * near
    assert int((away > NEAR_CELLS).sum()) > 100
    only = choose_references(np.zeros(1, np.int64), np.array([here]), cells, 1, 0)  # the first drawn is near
    assert np.maximum(abs(cells.row[only.cells] - 2), abs(cells.col[only.cells] - 13)).max() <= NEAR_CELLS


def test_neighbours_are_those_of_a_plain_search() -> None:
    generator = torch.Generator().manual_seed(5)
    photos, cells = torch.randn(40, 8, generator=generator), torch.randn(12, 8, generator=generator)
    maps = np.repeat([0, 3], 20)
    cell_of = np.concatenate([np.arange(20) % 7, 7 + np.arange(20) % 5])
    found = neighbours(photos, cells, cell_of, maps, 25)
    for i in range(40):
        others = [j for j in range(40) if maps[j] == maps[i] and cell_of[j] != cell_of[i]]
        wanted = sorted(-float(photos[i] @ cells[cell_of[j]]) for j in others)[:25]
        mine = [j for j in found[i].tolist() if j >= 0]
        assert set(mine) <= set(others) and len(mine) == len(wanted) == len(set(mine))
        assert np.allclose([-float(photos[i] @ cells[cell_of[j]]) for j in mine], wanted, atol=1e-5)


def test_an_epoch_with_neighbours_holds_every_photo_once_and_runs_of_neighbours() -> None:
    ring = np.stack([(np.arange(40) + 1) % 40, np.full(40, -1), (np.arange(40) - 1) % 40], 1)
    sampler = ResumableBatchSampler(40, 8, seed=1, places=4)
    plain = [draw.photo for batch in sampler for draw in batch]
    sampler.neighbours = ring
    order = [draw.photo for batch in sampler for draw in batch]
    assert sorted(order) == sorted(plain) == list(range(40)) and order != plain
    touching = [abs(a - b) in {1, 39} for a, b in pairwise(order)]
    assert sum(touching) > 12  # 20 runs of about two photos; at random there would be two
    sampler.start_batch = 3
    assert [draw.photo for batch in sampler for draw in batch] == order[24:]
