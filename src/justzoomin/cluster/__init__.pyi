from .indexing import build_index_on_cluster as build_index_on_cluster
from .joining import joined as joined
from .joining import require_ray as require_ray
from .localizing import localize_on_cluster as localize_on_cluster
