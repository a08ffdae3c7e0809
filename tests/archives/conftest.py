"""Small generated maps, the real one extracted, and the reference renderer."""

from map_fixtures import _home, extracted, mini, reference, repository, small, utm_map, xyz_map

__all__ = ["_home", "extracted", "mini", "reference", "repository", "small", "utm_map", "xyz_map"]
