"""One small dataset, and small generated maps."""

from data_fixtures import dataset, repository
from map_fixtures import _home, extracted, mini, small, utm_map, xyz_map

__all__ = ["_home", "dataset", "extracted", "mini", "repository", "small", "utm_map", "xyz_map"]
