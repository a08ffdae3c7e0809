"""From orthophotos, tile servers and tile packages to a map."""

from justzoomin.imagery.base import Bounds, Imagery, Mask, Pixels

__all__ = ["Bounds", "Imagery", "Mask", "Pixels"]
