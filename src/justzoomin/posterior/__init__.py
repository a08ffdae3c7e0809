"""What is believed about a photo's place: a posterior over a grid's terminal cells, and what follows from it. numpy only."""

from justzoomin.posterior.lattice import Lattice, lattice
from justzoomin.posterior.posterior import Posterior

__all__ = ["Lattice", "Posterior", "lattice"]
