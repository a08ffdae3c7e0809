from .data import open_dataset as open_dataset
from .geometry import Region as Region
from .geometry import ZoomGrid as ZoomGrid
from .maps import Map as Map
from .models import ZoomModel as ZoomModel
from .search import Fix as Fix
from .search import Localizer as Localizer
