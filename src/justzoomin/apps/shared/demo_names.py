"""The name `demo`: the packaged model, and the town that `jzi demo` leaves."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

DEMO = "demo"
TOWN = Path("demo") / "town"
"""Where `make demo` and `jzi demo` leave the town, below the folder that they run in."""

MODEL_HELP = "Model folder or hub id; demo is the packaged model, which knows synthetic towns only."
MAP_HELP = ("Folder of the map or of a dataset, tile package, or address template of a tile server; demo is the town that jzi "
            "demo leaves in demo/town.")


def packaged_model() -> Path:
    """Folder of the demo model that comes with the package."""
    return Path(str(resources.files("justzoomin") / "assets" / "demo-model"))


def model_named(name: str) -> str:
    """The model that a name means: `demo` is the packaged one, unless a folder is called so and holds a model."""
    return str(packaged_model()) if name == DEMO and not (Path(name) / "model.safetensors").is_file() else name


def is_packaged(model: str | Path) -> bool:
    """Whether a folder is the packaged model's: nothing is written there."""
    return Path(model).resolve() == packaged_model().resolve()


def refuse_packaged(model: str | Path, option: str) -> None:
    """Refuse to write into the folder of the packaged model.

    Raises:
        ConfigError: If it is that folder.
    """
    from justzoomin.errors import ConfigError

    if is_packaged(model):
        raise ConfigError(str(model), "this is the packaged model, and nothing is written into its folder",
                          f"Name a file with {option}, or copy the folder and name the copy.")


def map_named(name: str) -> str:
    """The map that a name means: `demo` is the town of the demo, unless a folder is called so and holds a map.

    Raises:
        ConfigError: If the demo has not been run here.
    """
    from justzoomin.errors import ConfigError

    own = any((Path(name) / part).is_file() for part in ("layout.yaml", "satellite/layout.yaml"))
    if name != DEMO or own:
        return name
    if not TOWN.is_dir():
        raise ConfigError("--map demo", f"there is no {TOWN} here", "Make it with jzi demo (or make demo), or name a map.")
    return str(TOWN)
