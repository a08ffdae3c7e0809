"""The recipes of the accuracy benchmark: what is scored is never trained on or fitted on, and every town is frozen."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from justzoomin.apps.demo import SEED, UNSEEN_SEED

ACCURACY = Path(__file__).parents[1] / "benchmarks" / "accuracy"


@pytest.fixture(scope="module")
def sets(request):
    spec = importlib.util.spec_from_file_location("accuracy_sets", ACCURACY / "sets.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    request.addfinalizer(lambda: sys.modules.pop(spec.name))
    spec.loader.exec_module(module)
    return module.SETS


def test_areas_share_no_town_with_anything_else(sets):
    towns = sets["areas"].repositories()
    seeds = [config.seed for config in towns.values()]
    others = {config.seed for name in ("cpu", "gpu", "towns") for config in sets[name].repositories().values()}
    assert len(set(seeds)) == len(seeds) and not set(seeds) & (others | {SEED, UNSEEN_SEED})
    assert all(config.districts and config.photos == 0 and config.val_photos % 16 == 0 for config in towns.values())
    halves = Counter(tuple(name.split("-")[:2]) for name in towns)
    assert {size for _, size in halves} == {"320", "640", "1280", "2560"}
    assert all(halves["fit", size] == halves["score", size] for _, size in halves)


def test_the_last_cells_of_areas_are_5_or_10_m(sets):
    assert {config.size_m / config.grid**config.depth for config in sets["areas"].repositories().values()} == {5.0, 10.0}


@pytest.mark.parametrize("name", ["cpu", "areas"])
def test_every_town_is_frozen(sets, name):
    frozen = json.loads((ACCURACY / "frozen" / f"{name}.json").read_text())
    assert set(frozen) == set(sets[name].repositories())
    assert not any(config.districts for config in sets["cpu"].repositories().values())
