from __future__ import annotations

import pytest

pytest.importorskip("embreex", reason="the synthetic city needs the extra 'synth'")

from justzoomin.city import CityConfig, build_city, build_world

SMALL = {"seed": 5, "size_m": 90.0, "photos": 18, "val_photos": 17, "photo_width": 64, "photo_height": 36, "gsd_m": 0.25,
         "depth": 2}


@pytest.fixture(scope="session")
def small_config():
    return CityConfig(**SMALL, workers=1)


@pytest.fixture(scope="session")
def small_world(small_config):
    return build_world(small_config.seed, small_config.size_m)


@pytest.fixture(scope="session")
def small_town(small_config, tmp_path_factory):
    return build_city(tmp_path_factory.mktemp("city") / "town", small_config)
