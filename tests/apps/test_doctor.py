"""`jzi doctor` tells what is installed, and its exit code says whether a photo can be located here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from running import Jzi

from justzoomin.apps import doctor
from justzoomin.apps.shared import installed, self_test
from justzoomin.apps.shared.installed import EXTRAS, dependencies, extras_state, folder_bytes
from justzoomin.apps.shared.self_test import SelfTest
from pages import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_extra_is_explained() -> None:
    assert set(EXTRAS) == set(PYPROJECT["optional-dependencies"]) - {"dev", "docs"}


def test_packages_that_fit_are_told_from_missing_and_old_ones() -> None:
    found = dependencies(["numpy>=1.26", "torch<0.1", "no-such-package-here>=1", "another-one-missing; extra == 'synth'",
                          "ruff; extra == 'dev'", "numpy; sys_platform == 'nowhere'", "numpy; extra == 'logs'"])
    assert [(d.name, d.extra, d.fits) for d in found] == [
        ("numpy", "", True), ("torch", "", False), ("no-such-package-here", "", False), ("another-one-missing", "synth", False),
        ("numpy", "logs", True)]
    assert [d.words for d in found[1:3]] == [f"torch {found[1].installed} does not fit <0.1", "no-such-package-here is missing"]
    state = extras_state(found)
    assert [name for name in EXTRAS if state[name]["installed"]] == ["logs"]
    assert state["synth"]["wrong"] == ["another-one-missing is missing"]
    assert state["synth"]["install"] == "pip install 'justzoomin[synth]'"


def test_the_size_of_a_folder_leaves_links_out(tmp_path: Path) -> None:
    inside = tmp_path / "cache"
    (inside / "a").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(bytes(1000))
    for number in range(4):
        (inside / "a" / f"{number}").write_bytes(bytes(10))
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "folder").symlink_to(tmp_path)
    assert folder_bytes(inside) == (40, True)
    assert folder_bytes(inside, most=3) == (30, False)
    assert folder_bytes(tmp_path / "missing") == (0, True)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches of this test alone."""
    monkeypatch.setenv("JZI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "home" / "views").mkdir(parents=True)
    (tmp_path / "home" / "views" / "x").write_bytes(bytes(2_000_000))


@pytest.mark.usefixtures("small")
def test_what_is_printed_is_what_json_says(jzi: Jzi) -> None:
    facts = jzi("doctor", "--json", "--no-test").json
    assert facts["self_test"] is None
    assert facts["caches"][0]["parts"] == {"views": 2_000_000} and not facts["caches"][1]["exists"]
    assert facts["torch"]["devices"][0]["name"] == "cpu"
    assert set(facts["extras"]) == set(EXTRAS)
    ran = jzi("doctor", "--no-test")
    assert ran.err == "" and ran.out == "".join(f"{name:<12}{line}".rstrip() + "\n" for name, line in doctor.report(facts))
    assert "justzoomin: 2.0 MB" in ran.out and "none yet" in ran.out


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("passed", "wrong", "code"), [(True, False, 0), (False, False, 1), (True, True, 1)])
def test_the_exit_code(jzi: Jzi, monkeypatch: pytest.MonkeyPatch, passed: bool, wrong: bool, code: int) -> None:
    needed = dependencies(["torch<0.1" if wrong else "torch", "no-such; extra == 'synth'"])
    monkeypatch.setattr(installed, "dependencies", lambda: needed)
    monkeypatch.setattr(self_test, "self_test", lambda device: SelfTest(passed, f"on {device}", 1.0))
    ran = jzi("doctor", "--device", "cpu")
    assert ran.code == code
    assert ran.out.splitlines()[-1] == f"self-test   {'passed' if passed else 'FAILED'} in 1.0 s: on cpu"
    assert "synth    missing" in ran.out and ("does not fit <0.1" in ran.out) == wrong


def test_a_failure_of_the_self_test_is_its_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(self_test, "packaged_model", lambda: tmp_path)
    monkeypatch.setattr(self_test, "find_spec", lambda _: None)
    failed = self_test.self_test("cpu")
    assert not failed.passed and failed.words.startswith("LayoutError: ") and failed.error_m is None


@pytest.mark.parametrize("rays", [True, False])
def test_the_packaged_model_locates_a_generated_photo(monkeypatch: pytest.MonkeyPatch, rays: bool) -> None:
    """With a photo of a town where rays can be cast, else with a pattern."""
    if rays:
        pytest.importorskip("embreex", reason="the town needs the extra 'synth'")
    else:
        monkeypatch.setattr(self_test, "find_spec", lambda _: None)
    found = self_test.self_test("cpu")
    assert found.passed, found.words
    assert (found.error_m is not None) == rays
