"""What a release needs agrees with the package: version, extras, workflows, container files."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import typer
import yaml

from justzoomin.apps.main import app
from justzoomin.apps.shared.installed import EXTRAS
from pages import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTAINER = (PROJECT / "deploy" / "Containerfile").read_text(encoding="utf-8")


def loaded(path: str) -> Any:
    return yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    cited = loaded("CITATION.cff")
    assert [cited[key] for key in ("version", "license", "title")] == [PYPROJECT[key] for key in ("version", "license", "name")]
    newest = re.findall(r"^## (\S+) \((.+)\)$", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[0]
    assert newest[0] == PYPROJECT["version"] and re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", newest[1])


def test_the_table_of_extras_is_that_of_the_package() -> None:
    page = (PROJECT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", page, flags=re.MULTILINE)
    packages = {name: ", ".join(re.split("[>=<]", package)[0] for package in PYPROJECT["optional-dependencies"][name])
                for name in EXTRAS}
    assert rows == [(name, purpose, packages[name]) for name, purpose in EXTRAS.items()]


def test_workflows_ask_for_no_more_than_they_need() -> None:
    ci, release = loaded(".github/workflows/ci.yml"), loaded(".github/workflows/release.yml")
    assert [step["run"] for step in ci["jobs"]["check"]["steps"] if "run" in step] == ["bash .ci/run"]
    assert ci["permissions"] == release["permissions"] == {"contents": "read"}
    publish = release["jobs"]["publish"]
    assert publish["permissions"] == {"attestations": "write", "contents": "read", "id-token": "write"}
    assert publish["needs"] == "build" and not any("run" in step for step in publish["steps"])  # what was tried is published
    assert "secrets." not in (PROJECT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    listed = [row.rpartition(" ")[2] for row in PYPROJECT["classifiers"] if re.search(r":: 3\.\d", row)]
    assert ci["jobs"]["wheel"]["strategy"]["matrix"]["python"] == listed


def test_scripts_and_targets_of_the_workflows_exist() -> None:
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for name in ("ci", "release"):
        text = (PROJECT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
        assert all(target in targets for target in re.findall(r"run: make (\S+)", text))
        scripts = re.findall(r"(?:bash|python) ([\w.]+/[\w./]+)", text)
        assert scripts and all((PROJECT / path).is_file() for path in scripts)


def test_the_container_starts_the_service_with_options_that_it_has() -> None:
    (start,) = re.findall(r"exec jzi serve (.+?) \\\"\$@", CONTAINER)
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in start.split() if word.startswith("--")} <= options
    extras = re.findall(r"\)\[([\w,]+)\]", CONTAINER)[0].split(",")
    assert set(extras) <= set(EXTRAS) and "serve" in extras
    volumes = re.findall(r"^VOLUME (.+)$", CONTAINER, flags=re.MULTILINE)[0]
    assert {f'"{word}"' for word in start.split() if word.startswith("/")} < set(volumes.strip("[]").split(", "))


def test_the_compose_file_fits_the_container() -> None:
    compose = loaded("deploy/compose.yaml")
    arguments = re.findall(r"^ARG (\w+)=", CONTAINER, flags=re.MULTILINE)
    for service in compose["services"].values():
        assert (PROJECT / service["build"]["dockerfile"]).is_file() and service["build"]["context"] == ".."
        assert set(service["build"].get("args", {})) <= set(arguments)
        inside = [volume.removesuffix(":ro").rpartition(":")[2] for volume in service["volumes"]]
        assert all(f'"{path}"' in CONTAINER for path in inside)
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert set(compose["volumes"]) == {"jobs", "cache"}
