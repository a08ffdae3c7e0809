"""The built files hold the package, its licences and nothing else; `make wheel-check` also installs and runs them."""

from __future__ import annotations

import importlib.util
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from pages import PROJECT


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_wheel", PROJECT / "scripts" / "check_wheel.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(check: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, built from the source distribution alone, and that."""
    pytest.importorskip("hatchling", reason="building needs hatchling, which is in the extra 'dev'")
    return check.build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_and_the_source_distribution_are_whole(check: ModuleType, built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    assert check.wheel_faults(wheel) == []
    assert check.sdist_faults(sdist) == []
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        metadata = next(file.read(name).decode() for name in names if name.endswith("/METADATA"))
    page = "justzoomin/apps/server/page"
    assert {"justzoomin/assets/demo-model/model.safetensors", f"{page}/index.html", f"{page}/vendor/ol/LICENSE.md",
            f"{page}/vendor/swagger-ui/LICENSE", f"{page}/vendor/swagger-ui/NOTICE", "justzoomin/py.typed",
            "justzoomin/geometry/presets/dc.yaml"} <= names
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert all(f"Provides-Extra: {name}\n" in metadata for name in extras)


def test_what_is_wrong_with_a_wheel_is_named(check: ModuleType, built: tuple[Path, Path], tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.whl"
    with zipfile.ZipFile(built[0]) as file, zipfile.ZipFile(bad, "w") as copy:
        for name in file.namelist():
            if not name.endswith(("dc.yaml", "entry_points.txt")):
                copy.writestr(name, b"")
        copy.writestr("tests/test_all.py", b"")
    assert check.wheel_faults(bad) == [
        "missing: justzoomin/geometry/presets/dc.yaml", "does not belong there: tests/test_all.py",
        "the command jzi is missing"]
    monkeypatch.setattr(check, "MOST_BYTES", 1000)
    assert "more than 1,000" in check.wheel_faults(bad)[-1]
