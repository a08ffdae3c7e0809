"""Build the package's files, look at what they hold, and try the wheel in an environment of its own, without the repository.

    python scripts/check_wheel.py              builds and looks: seconds
    python scripts/check_wheel.py --install    also installs the wheel, and locates a photo: minutes, needs a package index

`make wheel-check` does the second. The environment for building needs hatchling.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT / "src" / "justzoomin"
MOST_BYTES = 15_000_000
"""Size that the wheel may have; the package index would take more."""
LICENCES = ("LICENSE", "NOTICE")
TOWN = ("jzi", "data", "synth", "town", "--seed", "7", "--size-m", "320", "--photos", "0", "--val-photos", "1",
        "--gsd-m", "0.5", "--photo-width", "192", "--photo-height", "108", "--workers", "1")
"""A town that the packaged model knows, with a photo that it has not seen."""


def build(folder: Path, project: Path = PROJECT) -> tuple[Path, Path]:
    """Build the source distribution, and the wheel from that alone; return both files.

    Raises:
        subprocess.CalledProcessError: If the build fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sdist = folder / _hook("build_sdist", folder, project)
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(sdist) as tar:
        tar.extractall(unpacked, filter="data")
        (inside,) = Path(unpacked).iterdir()
        return folder / _hook("build_wheel", folder, inside), sdist


def _hook(name: str, folder: Path, project: Path) -> str:
    """Call the build backend as pip does (PEP 517) and return the file's name."""
    code = f"import sys, hatchling.build as backend; print('built', backend.{name}(sys.argv[1]))"
    words = [sys.executable, "-c", code, str(folder.resolve())]
    done = subprocess.run(words, cwd=project, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1].removeprefix("built ")


def wheel_faults(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel: files that are missing or do not belong there, licences, commands, size."""
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        (info,) = {name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info")} or {"no .dist-info"}
        commands = file.read(f"{info}/entry_points.txt").decode() if f"{info}/entry_points.txt" in names else ""
    wanted = {f"justzoomin/{name}" for name in source_files()} | {f"{info}/licenses/{name}" for name in LICENCES}
    own = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD")}
    faults = [f"missing: {name}" for name in sorted(wanted - names)]
    faults += [f"does not belong there: {name}" for name in sorted(names - wanted - own)]
    if "jzi = justzoomin.apps.main:main" not in commands:
        faults.append("the command jzi is missing")
    if wheel.stat().st_size > MOST_BYTES:
        faults.append(f"{wheel.stat().st_size:,} bytes, more than {MOST_BYTES:,}")
    return faults


def sdist_faults(sdist: Path) -> list[str]:
    """Return what is wrong with a source distribution."""
    with tarfile.open(sdist) as tar:
        names = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}
    wanted = {f"src/justzoomin/{name}" for name in source_files()} | {*LICENCES, "pyproject.toml", "README.md", "CHANGELOG.md"}
    inside = ("tests/", "benchmarks/", "docs/images/", "docs/demo/", ".ci/", ".github/")
    return [f"missing: {name}" for name in sorted(wanted - names)] + [
        f"does not belong there: {name}" for name in sorted(names) if name.startswith(inside)]


def source_files() -> list[str]:
    """Return the package's files, by their path in the package."""
    return [path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"]


def try_wheel(wheel: Path, folder: Path, extras: str, also: list[str], say: Callable[[str], None]) -> None:
    """Install a wheel into a new environment and locate a photo with it, in an empty folder; tell how long each step took.

    Raises:
        subprocess.CalledProcessError: If a step fails.
        AssertionError: If a file of the repository is used, or the photo is not located.
    """
    binaries, work = folder / "venv" / "bin", folder / "work"
    work.mkdir(parents=True)
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    clean |= {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1", "JZI_HOME": str(folder / "cache")}
    started = time.monotonic()

    def step(what: str, *words: str) -> str:
        began = time.monotonic()
        done = subprocess.run(words, cwd=work, env=clean, check=True, stdout=subprocess.PIPE, text=True)
        say(f"{what}: {time.monotonic() - began:.0f} s")
        return done.stdout

    step("python -m venv", sys.executable, "-m", "venv", str(folder / "venv"))
    step(" ".join(["pip install", f"'justzoomin[{extras}]'", *also]), str(binaries / "python"), "-m", "pip", "install", "-qq",
         f"{wheel.resolve()}[{extras}]", *also)
    step("jzi data synth", *TOWN)
    for shard in (work / "town" / "archives").glob("streetview_images_*.tar"):
        with tarfile.open(shard) as tar:
            tar.extractall(work, filter="data")
    (photo,) = (work / "streetview").rglob("*.jpg")
    (fix,) = json.loads(step("jzi localize", "jzi", "localize", str(photo), "--map", "town", "--json"))
    say(f"from nothing to the first located photo: {time.monotonic() - started:.0f} s; {fix['lat']:.6f} {fix['lon']:.6f}")
    health = json.loads(step("jzi doctor", "jzi", "doctor", "--json"))
    assert health["ok"] and health["self_test"]["passed"], health
    assert Path(health["folder"]).is_relative_to(folder.resolve()), health["folder"]
    say(f"jzi doctor: {health['self_test']['words']}, in {health['self_test']['seconds']:.1f} s")
    say(f"justzoomin {health['version']}, Python {health['python']['version']}, torch {health['torch']['version']}")


def main() -> None:
    """Build, look, and install if asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--out", type=Path, help="folder for the built files; default: removed at the end")
    parser.add_argument("--install", action="store_true", help="install the wheel into a new environment and locate a photo")
    parser.add_argument("--extras", default="synth", help="extras to install; default: synth, which makes the town")
    parser.add_argument("--also", nargs="*", default=[], help="what to install besides, such as torch==2.13.0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheel, sdist = build(options.out or Path(scratch) / "dist")
        for file, faults in ((wheel, wheel_faults(wheel)), (sdist, sdist_faults(sdist))):
            print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
            if faults:
                sys.exit("\n".join(faults))
        if options.install:
            try_wheel(wheel, Path(scratch) / "try", options.extras, options.also, lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
