"""From orthophotos, tile servers and tile packages to a map."""

from justzoomin.imagery.base import Bounds, Imagery, Mask, Pixels
from justzoomin.imagery.build import MapBuild, build_map
from justzoomin.imagery.config import MapBuildConfig
from justzoomin.imagery.heat_raster import write_heat_raster
from justzoomin.imagery.plan import MapPlan
from justzoomin.imagery.rastermosaic import RasterMosaic
from justzoomin.imagery.sources import open_imagery
from justzoomin.imagery.weights import weights_from_raster

__all__ = ["Bounds", "Imagery", "MapBuild", "MapBuildConfig", "MapPlan", "Mask", "Pixels", "RasterMosaic",
           "build_map", "open_imagery", "weights_from_raster", "write_heat_raster"]
