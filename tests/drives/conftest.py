"""A tiny town with a model that knows bearings, and one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakes
from justzoomin.maps import Map
from justzoomin.search import Localizer


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fakes.make_repository(tmp_path_factory.mktemp("drives") / "town", train=1, val=1, pixels=32, size_m=200.0)


@pytest.fixture(scope="session")
def facing(town: Path) -> Localizer:
    """Its matcher says which way photos face."""
    return Localizer(fakes.tiny_matching_model(), Map.open(town), search="posterior")


@pytest.fixture(scope="session")
def plain(town: Path) -> Localizer:
    return Localizer(fakes.tiny_model(), Map.open(town), search="posterior")
