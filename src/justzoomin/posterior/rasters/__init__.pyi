from .heat import write_heat_raster as write_heat_raster
from .prior import weights_from_raster as weights_from_raster
