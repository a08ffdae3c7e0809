"""What is installed: Python, the package, its dependencies, extras, devices, the packaged model and the caches."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXTRAS = {
    "synth": "synthetic towns: jzi demo, jzi data synth",
    "own": "your own city: orthophotos, tile servers, PMTiles, HEIC photos",
    "serve": "the service and the page: jzi serve",
    "onnx": "small machines: jzi export, --runtime onnx",
    "robots": "ROS bags and MCAP: jzi track DRIVE.mcap",
    "video": "video files: jzi track DRIVE.mp4",
    "cluster": "many machines: --ray",
    "search": "nearest neighbours of large galleries (faiss)",
    "logs": "training curves in TensorBoard",
    "wandb": "training curves in Weights & Biases",
}
"""What each extra is for; docs/install.md has the same table."""
MOST_FILES = 200_000
"""Files of a cache that are counted at most, so that the answer does not wait for millions of tiles."""


@dataclass(frozen=True)
class Dependency:
    """A package that something needs.

    Attributes:
        name: Name of the package.
        needs: Versions that fit, such as `>=2.6`; empty for any.
        installed: The installed version, or None.
        fits: Whether it is installed in a version that fits.
        extra: The extra that it belongs to; empty for what everything needs.
    """

    name: str
    needs: str
    installed: str | None
    fits: bool
    extra: str = ""

    @property
    def words(self) -> str:
        """Return name and version, or what is wrong with it."""
        if self.installed is None:
            return f"{self.name} is missing"
        return f"{self.name} {self.installed}" + ("" if self.fits else f" does not fit {self.needs}")


def package_version() -> str | None:
    """Return the version of the installed package, or None if it runs from a folder that is not installed."""
    try:
        return importlib.metadata.version("justzoomin")
    except importlib.metadata.PackageNotFoundError:
        return None


def dependencies(requirements: list[str] | None = None) -> list[Dependency]:
    """Return all packages that the package or an extra of it needs on this machine.

    Args:
        requirements: Requirements as package metadata states them; None for those of the installed package.
    """
    from packaging.requirements import Requirement

    if requirements is None:
        try:
            requirements = importlib.metadata.requires("justzoomin") or []
        except importlib.metadata.PackageNotFoundError:
            requirements = []
    found = []
    for text in requirements:
        needed = Requirement(text)
        extra = next((name for name in ("", *EXTRAS) if needed.marker is None or needed.marker.evaluate({"extra": name})), None)
        if extra is None:  # of developers, or of other machines
            continue
        try:
            version = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        fits = version is not None and needed.specifier.contains(version, prereleases=True)
        found.append(Dependency(needed.name, str(needed.specifier), version, fits, extra))
    return found


def extras_state(needed: list[Dependency]) -> dict[str, dict[str, Any]]:
    """Return for each extra what it is for, whether it is complete, and what is wrong with its packages."""
    return {name: {"for": purpose, "installed": any(d.extra == name for d in needed) and not _wrong(needed, name),
                   "wrong": [d.words for d in _wrong(needed, name)], "install": f"pip install 'justzoomin[{name}]'"}
            for name, purpose in EXTRAS.items()}


def _wrong(needed: list[Dependency], extra: str) -> list[Dependency]:
    return [d for d in needed if d.extra == extra and not d.fits]


def python_facts() -> dict[str, str]:
    """Return version and place of Python, and the kind of machine."""
    import sys

    return {"version": platform.python_version(), "executable": sys.executable, "system": platform.system(),
            "machine": platform.machine()}


def torch_facts() -> dict[str, Any]:
    """Return torch's version and the devices that it can use, or why it cannot be imported."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library of the system is missing
        return {"version": None, "error": f"{type(error).__name__}: {error}", "devices": []}
    devices: list[dict[str, Any]] = [{"name": "cpu", "words": f"cpu, {torch.get_num_threads()} threads"}]
    for number in range(torch.cuda.device_count()):
        name, facts = f"cuda:{number}", torch.cuda.get_device_properties(number)
        devices.append({"name": name, "words": f"{name}, {facts.name}, {facts.total_memory / 2**30:.0f} GiB"})
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "words": "mps"})
    return {"version": torch.__version__, "error": None, "devices": devices}


def caches() -> list[dict[str, Any]]:
    """Return the folders where things are kept for the user, with the bytes of each of their parts."""
    from justzoomin.files import cache_home

    home = cache_home()
    hub_home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or hub_home / "hub")
    inside = sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
    counted = {path.name: folder_bytes(path) for path in inside}
    parts = {name: size for name, (size, _) in counted.items()}
    size, whole = folder_bytes(hub)
    return [{"what": "justzoomin", "folder": str(home), "exists": home.is_dir(), "bytes": sum(parts.values()),
             "counted_all": all(all_of_it for _, all_of_it in counted.values()), "parts": parts},
            {"what": "hub", "folder": str(hub), "exists": hub.is_dir(), "bytes": size, "counted_all": whole, "parts": {}}]


def folder_bytes(folder: Path, most: int | None = None) -> tuple[int, bool]:
    """Return the bytes of a folder's files, and whether all of them were counted; links are not followed.

    Args:
        folder: The folder; one that is missing has no bytes.
        most: Files to count at most; None for `MOST_FILES`.
    """
    size = 0
    for number, path in enumerate(_files(folder)):
        if number == (MOST_FILES if most is None else most):
            return size, False
        try:
            size += path.lstat().st_size
        except OSError:  # removed meanwhile
            continue
    return size, True


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (path for path in (Path(root) / name for name in names) if not path.is_symlink())
