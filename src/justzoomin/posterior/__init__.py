"""What is believed about a photo's place: a posterior over a grid's terminal cells, and what follows from it. numpy only."""

from justzoomin.posterior.drive import TEMPERING, track
from justzoomin.posterior.lattice import Lattice, lattice
from justzoomin.posterior.motion import Motion, odometry, speed_limit
from justzoomin.posterior.polygons import Polygons, read_polygons
from justzoomin.posterior.posterior import Posterior
from justzoomin.posterior.priors import Both, Circle, Prior, Weights, apply, apply_many, last_fix, weights_from_npy

__all__ = [
    "TEMPERING", "Both", "Circle", "Lattice", "Motion", "Polygons", "Posterior", "Prior", "Weights", "apply", "apply_many",
    "last_fix", "lattice", "odometry", "read_polygons", "speed_limit", "track", "weights_from_npy",
]
