"""`jzi data download` and `jzi data extract` as a user runs them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hub_helpers import files_below
from hub_server import REPO, Answer, Hub

from justzoomin.apps.main import main
from justzoomin.maps import Map

LEVEL_1 = "archives/satellite_level_m1_000.tar"


@pytest.fixture
def jzi(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run `jzi data`; return exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["data", *map(str, words)])
        got = capsys.readouterr()
        return int(stop.value.code or 0), got.out, got.err

    return run


def test_a_download_from_first_to_last(jzi, hub: Hub, tmp_path: Path):
    dest = tmp_path / "dest"
    words = ("download", dest, "--repo-id", REPO, "--pixels", 32)
    code, out, err = jzi(*words, "--dry-run")
    assert (code, err) == (0, "")
    for text in ("left out: level 0", "level -1", "licence: cc-by-sa-4.0", "attribution: Drawn by a program",
                 "free on the disk", hub.branches["main"]):
        assert text in out
    assert not dest.exists()
    plan = json.loads(jzi(*words, "--dry-run", "--json")[1])
    assert (plan["levels"], plan["complete"], plan["commit"]) == ([-2, -1], False, hub.branches["main"])
    code, out, err = jzi(*words)
    assert (code, err) == (0, "")
    assert "every file checked" in out
    code, out, err = jzi("download", dest)
    assert (code, err) == (0, "")
    assert f"{dest}: complete, commit {plan['commit']}, nothing was fetched" in out
    assert json.loads(jzi("download", dest, "--json")[1])["complete"] is True
    code, out, err = jzi("extract", dest, tmp_path / "loose", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["shards"] == 4
    assert jzi("verify", tmp_path / "loose")[0] == 0


@pytest.mark.parametrize(("words", "text"), [
    (("--levels", "-2,x"), "--levels: 'x' is not a whole number"),
    (("--levels", "-2", "--depth", "3"), "--levels: --pixels or --depth is given as well"),
    (("--levels", "-5,-2"), "level -5"), (("--splits", ","), "--splits: no split is named"),
    (("--splits", "test"), "Available splits: train, val"), (("--revision", "v3"), "no such revision"),
    (("--pixels", "0"), "--pixels: 0 pixels"), (("--depth", "30"), "depth")])
def test_refusals(jzi, hub: Hub, tmp_path: Path, words: tuple[str, ...], text: str):
    code, out, err = jzi("download", tmp_path / "dest", "--repo-id", REPO, *words)
    assert (code, out) == (1, "")
    assert err.startswith("error: ") and text in err
    assert not (tmp_path / "dest").exists()


def test_levels_that_begin_with_a_minus(jzi, hub: Hub, tmp_path: Path):
    words = ("--levels", "-2,-1", "--splits", "val", "--dry-run", "--json")
    code, out, _ = jzi("download", tmp_path / "dest", "--repo-id", REPO, *words)
    assert (code, json.loads(out)["levels"], json.loads(out)["splits"]) == (0, [-2, -1], ["val"])


def test_the_command_killed_in_the_middle_of_a_file_resumes(jzi, hub: Hub, tmp_path: Path):
    """The real command in its own process is killed by signal 9 while a shard is half written."""
    dest, stalled, killed = tmp_path / "dest", threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        killed.wait(30)

    hub.failures[LEVEL_1] = [Answer(cut_after=150_000, stalled=stall)]
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "justzoomin.apps.main", "data", "download", str(dest), "--repo-id", REPO, "--pixels", "32"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert stalled.wait(60)
        for _ in range(500):  # the bytes were sent; wait until they are written
            with contextlib.suppress(FileNotFoundError):  # renamed between two checks
                if any(p.stat().st_size == 150_000 for p in (dest / ".jzi-download").glob("*.part")):
                    break
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGKILL)
        killed.set()
    assert process.returncode == -signal.SIGKILL
    assert not (dest / LEVEL_1).exists()
    code, _, err = jzi("info", dest)
    assert code == 1 and f"Continue with: jzi data download {dest}." in err
    hub.log.clear()
    assert jzi("download", dest)[0] == 0
    assert [first for _, path, first in hub.log if path == LEVEL_1] == [150_000]
    whole = hub.commits[hub.branches["main"]]
    assert all(whole[name] == content for name, content in files_below(dest).items())
    assert tuple(Map.open(dest).levels()) == (-2, -1)
    assert not [p for p in (tmp_path / "hf").rglob("*") if p.is_file() and p.stat().st_size > 1000]


def test_ctrl_c_stops_the_command_and_leaves_nothing_wrong(jzi, hub: Hub, tmp_path: Path, monkeypatch):
    dest = tmp_path / "dest"

    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("justzoomin.hub.fetching.wait", interrupt)
    code, _, err = jzi("download", dest, "--repo-id", REPO, "--pixels", 32)
    assert (code, err.splitlines()[-1]) == (130, "interrupted")
    assert jzi("info", dest)[0] == 1
    monkeypatch.undo()
    whole = hub.commits[hub.branches["main"]]
    assert all(whole[name] == content for name, content in files_below(dest).items())


def test_real_data_in_the_published_layout(jzi, hub: Hub, tmp_path: Path, shared: Path):
    """The sample has neither region nor attribution, so the preset and the lines of the published card are used."""
    hub.commit_folder(shared / "data" / "dc-mini")
    dest = tmp_path / "dest"
    code, out, err = jzi("download", dest, "--repo-id", REPO)
    assert (code, err) == (0, "")
    assert "attribution: Street-view imagery derived from Mapillary" in out
    assert sorted(Map.open(dest).levels()) == [-7, -5, -3, -1]
    assert not [path for path in hub.fetched() if "level_0_" in path or "level_m9_" in path]
    info = json.loads(jzi("info", dest, "--json")[1])
    assert info["splits"] == {"val": 4} and info["photos"] == 4
