"""Index building and bulk localization on many machines, through ray."""

from justzoomin.cluster.indexing import build_index_on_cluster
from justzoomin.cluster.joining import joined, require_ray
from justzoomin.cluster.localizing import localize_on_cluster

__all__ = ["build_index_on_cluster", "joined", "localize_on_cluster", "require_ray"]
