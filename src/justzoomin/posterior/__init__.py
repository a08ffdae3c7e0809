"""What is believed about a photo's place: a posterior over a grid's terminal cells, and what follows from it. numpy only."""

from justzoomin.posterior.calibration import FILE_NAME as CALIBRATION_FILE
from justzoomin.posterior.calibration import Calibration, find_calibration
from justzoomin.posterior.decisions import DEFAULT as DEFAULT_DECISION
from justzoomin.posterior.decisions import Decision, Distance, TopCell, Within, decide, parse_decision
from justzoomin.posterior.drive import TEMPERING, track
from justzoomin.posterior.fitting import fit_calibration
from justzoomin.posterior.lattice import Lattice, lattice
from justzoomin.posterior.motion import Motion, odometry, speed_limit
from justzoomin.posterior.offmap import auroc, on_map_score, risk_coverage, threshold
from justzoomin.posterior.polygons import Polygons, read_polygons
from justzoomin.posterior.posterior import Moments, Posterior
from justzoomin.posterior.priors import Both, Circle, Prior, Weights, apply, apply_many, last_fix, weights_from_npy
from justzoomin.posterior.regions import CredibleRegion
from justzoomin.posterior.reliability import Claims, Curve, curve, figures

__all__ = [
    "CALIBRATION_FILE", "DEFAULT_DECISION", "TEMPERING", "Both", "Calibration", "Circle", "Claims", "CredibleRegion", "Curve",
    "Decision", "Distance", "Lattice", "Moments", "Motion", "Polygons", "Posterior", "Prior", "TopCell", "Weights", "Within",
    "apply", "apply_many", "auroc", "curve", "decide", "figures", "find_calibration", "fit_calibration", "last_fix",
    "lattice", "odometry", "on_map_score", "parse_decision", "read_polygons", "risk_coverage",
    "speed_limit", "threshold", "track", "weights_from_npy",
]
