"""The name `demo`: the packaged model, and the town that `jzi demo` makes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DEMO = "demo"
TOWN = Path("demo") / "town"
"""Folder of the town that `make demo` and `jzi demo` make, in the current folder."""

MODEL_HELP = "Model folder or hub id. demo is the packaged model, which works in synthetic towns only."
MAP_HELP = ("Folder of the map or of a dataset, tile package, or address template of a tile server. demo is the town that jzi "
            "demo makes in demo/town.")


def packaged_model() -> Path:
    """Return the folder of the demo model that comes with the package."""
    return Path(str(resources.files("justzoomin") / "assets" / "demo-model"))


def model_named(name: str) -> str:
    """Return the model that a name means: `demo` is the packaged model, unless a folder of that name holds a model."""
    return str(packaged_model()) if name == DEMO and not (Path(name) / "model.safetensors").is_file() else name


def is_packaged(model: str | Path) -> bool:
    """Return whether a folder is that of the packaged model, where nothing is written."""
    return Path(model).resolve() == packaged_model().resolve()


def refuse_packaged(model: str | Path, option: str) -> None:
    """Refuse to write into the folder of the packaged model.

    Raises:
        ConfigError: If the model is the packaged one.
    """
    from justzoomin.errors import ConfigError

    if is_packaged(model):
        raise ConfigError(str(model), "this is the packaged model; nothing is written into this folder",
                          f"Name a file with {option}, or copy the folder and name the copy.")


def map_named(name: str) -> str:
    """Return the map that a name means: `demo` is the town of the demo, unless a folder of that name holds a map.

    Raises:
        ConfigError: If the demo has not been run here.
    """
    from justzoomin.errors import ConfigError

    own = any((Path(name) / part).is_file() for part in ("layout.yaml", "satellite/layout.yaml"))
    if name != DEMO or own:
        return name
    if not TOWN.is_dir():
        raise ConfigError("--map demo", f"there is no folder {TOWN} here", "Run jzi demo (or make demo), or name a map.")
    return str(TOWN)
