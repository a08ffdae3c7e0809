"""What is believed about a photo's place: a posterior over a grid's terminal cells, and what follows from it. numpy only."""

from justzoomin.posterior.lattice import Lattice, lattice
from justzoomin.posterior.polygons import Polygons, read_polygons
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import Both, Circle, Prior, Weights, apply, apply_many, last_fix, weights_from_npy

__all__ = [
    "Both", "Circle", "Lattice", "Polygons", "Posterior", "Prior", "Weights", "apply", "apply_many", "last_fix", "lattice",
    "read_polygons", "weights_from_npy",
]
