"""An import loads what it needs: `from justzoomin import Localizer` loads what a localization needs, and no table or figure."""

import subprocess
import sys

MOST_FILES = 85
"""Files of the project that the import may load. Raise it only for what every localization needs."""
ROOMS = {"archives", "data", "errors", "filekind", "files", "geometry", "maps", "models", "parallel", "posterior", "search",
         "spelling", "store", "tiles", "untrusted"}
HEAVY = {"faiss", "h5py", "kornia", "lightning", "matplotlib", "pandas", "polars", "pyproj", "rasterio", "requests", "scipy",
         "shapely", "transformers"}


def loaded_by(statement: str) -> set[str]:
    """The names in `sys.modules` after a statement in a fresh interpreter."""
    run = subprocess.run([sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"], check=True,
                         capture_output=True, text=True, timeout=300)
    return set(run.stdout.split())


def test_a_localization_loads_only_what_it_needs():
    loaded = loaded_by("from justzoomin import Localizer")
    own = sorted(name for name in loaded if name.split(".")[0] == "justzoomin")
    assert {name.split(".")[1] for name in own if "." in name} <= ROOMS
    assert len(own) <= MOST_FILES, own
    assert not HEAVY & loaded


def test_the_package_alone_loads_no_room():
    loaded = loaded_by("import justzoomin")
    assert not {name for name in loaded if name.startswith("justzoomin.")}
    assert not {"numpy", "torch"} & loaded
