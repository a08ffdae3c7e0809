"""Archives unpacked into loose files: nothing lost, nothing outside, nothing deleted that was not compared."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_helpers import Pauses, files_below
from hub_server import REPO, Hub

import fakes
from justzoomin.archives import check_hashes
from justzoomin.data import open_dataset
from justzoomin.errors import DataError, TileError
from justzoomin.hub import Selection, download, extract, plan_download
from justzoomin.maps import Map


@pytest.fixture
def root(town: Path, tmp_path: Path) -> Path:
    """A copy of the town without the finest level, which has many tiles."""
    folder = tmp_path / "root"
    shutil.copytree(town, folder, ignore=shutil.ignore_patterns(".jzi*", "satellite_level_0_*"))
    return folder


@pytest.fixture(scope="session")
def loose(town: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Expected result: the loose files and everything outside the archives, byte for byte."""
    folder = fakes.extract(town, tmp_path_factory.mktemp("hub") / "loose")
    shutil.rmtree(folder / "satellite" / "0")
    rest = {n: c for n, c in files_below(town).items() if not n.startswith(("archives/", ".git", "paper"))}
    return {**rest, **files_below(folder)}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls of os.sync, which is not executed here."""
    found: list[str] = []
    monkeypatch.setattr("os.sync", lambda: found.append("sync"))
    return found


def test_loose_files_open_by_themselves(root: Path, loose: dict[str, bytes], tmp_path: Path, calls: list[str]):
    before = files_below(root)
    steps: list[tuple[str, int, int]] = []
    report = extract(root, tmp_path / "dest", progress=lambda *step: steps.append(step))
    assert files_below(tmp_path / "dest") == loose
    assert files_below(root) == before
    assert (report.shards, report.deleted, report.left) == (4, (), ())
    assert report.files == sum(name.startswith(("satellite/-", "streetview/images/")) for name in loose)
    assert steps[-1][1] == steps[-1][2] == 2 * report.bytes
    assert len(calls) == 4
    packed, unpacked = open_dataset(root), open_dataset(tmp_path / "dest")
    assert packed.map.fingerprint() == unpacked.map.fingerprint()
    assert packed.photos.ids() == unpacked.photos.ids()
    assert packed.attribution() == unpacked.attribution()
    (tmp_path / "dest" / ".jzi-lock").touch()  # as a killed run leaves it
    assert extract(root, tmp_path / "dest").files == 0, "there is nothing left to do"


@pytest.mark.parametrize("beside", [True, False])
def test_archives_are_deleted_when_asked(root: Path, loose: dict[str, bytes], tmp_path: Path, beside: bool, calls: list[str]):
    dest = root if beside else tmp_path / "dest"
    extract(root, dest)
    assert len(list((root / "archives").glob("*.tar"))) == 4
    victim = dest / "satellite" / "-1" / next(n for n in loose if n.startswith("satellite/-1/")).removeprefix("satellite/-1/")
    right = victim.read_bytes()
    victim.write_bytes(right[:-1] + b"?")
    with pytest.raises(DataError, match=rf"{victim}: the file differs from the one in .*m1_000\.tar.*jzi data extract"):
        extract(root, dest, delete_archives=True)
    assert (root / "archives" / "satellite_level_m1_000.tar").exists()
    victim.write_bytes(right)
    extract(root, dest, delete_archives=True)
    assert not list((root / "archives").glob("*.tar"))
    extra = {".gitattributes", "paper.pdf"} if beside else set()
    assert {n: c for n, c in files_below(dest).items() if n not in extra} == loose
    assert open_dataset(dest).map.levels() == {-2: 16, -1: 64}
    assert extract(root, dest, delete_archives=True).shards == 4


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("beside", [False, True])
def test_killed_anywhere(root: Path, loose: dict[str, bytes], tmp_path: Path, delete: bool, beside: bool, calls: list[str]):
    """A child process is killed by signal 9 from within, later each time, until one reaches the end."""
    dest, kills = root if beside else tmp_path / "dest", 0
    for steps in (0, 3, 20, 60, 130, 10_000):
        child = os.fork()
        if not child:
            try:
                extract(root, dest, delete_archives=delete, progress=_killer(steps))
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        assert status in {0, signal.SIGKILL}
        if status:
            kills += 1
            with pytest.raises(DataError, match=r"only \d of 4 archives are extracted here.*Continue with: jzi data extract"):
                Map.open(dest)
            wrong = {n for n, c in files_below(dest).items() if n in loose and c != loose[n]}
            assert not wrong, "a half-written file has a final name"
    assert kills >= 4
    assert status == 0
    extra = {".gitattributes", "paper.pdf"} if beside else set()
    found = {n: c for n, c in files_below(dest).items() if n not in extra and not n.startswith("archives/")}
    assert found == loose
    assert len(list((root / "archives").glob("*.tar"))) == (0 if delete else 4)
    open_dataset(dest).check("train")


def _killer(steps: int):
    counter: Iterator[int] = iter(range(steps))
    return lambda *step: os.kill(os.getpid(), signal.SIGKILL) if next(counter, None) is None else None


def test_a_download_is_extracted_in_place_and_still_opens(hub: Hub, tmp_path: Path, pauses: Pauses, calls: list[str]):
    dest = tmp_path / "dest"
    download(plan_download(dest, REPO, selection=Selection(pixels=32)), retry=pauses.retry)
    extract(dest, dest, delete_archives=True)
    assert not list((dest / "archives").glob("*.tar"))
    open_dataset(dest).check("val")
    assert check_hashes(dest) == []
    before = len(hub.log)
    assert plan_download(dest).complete, "extracted and deleted archives are not missing"
    plan = plan_download(dest, selection=Selection(levels=(-2, -1)))
    assert plan.bytes_to_fetch == 0
    download(plan, retry=pauses.retry)
    assert not [path for method, path, _ in hub.log[before:] if path.endswith(".tar")]


def test_another_commit_is_not_mixed_in(hub: Hub, tmp_path: Path, pauses: Pauses, calls: list[str]):
    dest, small = tmp_path / "dest", Selection(pixels=32)
    download(plan_download(dest, REPO, selection=small), retry=pauses.retry)
    extract(dest, tmp_path / "loose")
    extract(dest, dest, delete_archives=True)
    files = dict(hub.commits[hub.branches["main"]])
    hub.commit({**files, "archives/satellite_level_m1_000.tar": files["archives/satellite_level_m1_000.tar"] + bytes(10240)})
    with pytest.raises(DataError, match=r"level_m1_000\.tar: the archive was extracted and removed here.*another folder"):
        plan_download(dest, update=True)
    second = tmp_path / "second"
    download(plan_download(second, REPO, selection=small), retry=pauses.retry)
    shutil.rmtree(dest)
    second.rename(dest)
    with pytest.raises(DataError, match=r"the folder holds an extraction of .*town/test@.*another folder"):
        extract(dest, tmp_path / "loose")


def test_incomplete_downloads_are_not_extracted(hub: Hub, tmp_path: Path, pauses: Pauses, calls: list[str]):
    dest = tmp_path / "dest"
    download(plan_download(dest, REPO, selection=Selection(pixels=32)), retry=pauses.retry)
    shard = dest / "archives" / "satellite_level_m1_000.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=rf"{shard}: the shard changed after the download: its sha256"):
        extract(dest, tmp_path / "loose", delete_archives=True)
    assert shard.exists()
    shard.unlink()
    with pytest.raises(DataError, match="the download is not complete"):
        extract(dest, tmp_path / "loose")
    with pytest.raises(DataError, match=r"the folder does not exist"):
        extract(tmp_path / "none", tmp_path / "loose")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no shards to extract"):
        extract(tmp_path / "empty", tmp_path / "loose2")


def test_folders_of_something_else(root: Path, tmp_path: Path, calls: list[str]):
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="the folder is not empty"):
        extract(root, dest)
    name = Map.open(root).source.shards(-2).names()[0]
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(b"mine")
    with pytest.raises(DataError, match=rf"{root / name}: this file differs from the one in satellite_level_m2"):
        extract(root, root)
    assert (root / name).read_bytes() == b"mine"
    assert Map.open(root).levels() == {-2: 16, -1: 64}, "a refused extraction changes nothing"
    other = tmp_path / "other"
    extract(root, tmp_path / "new")
    shutil.copytree(root, other)
    with pytest.raises(DataError, match="the folder holds an extraction of"):
        extract(other, tmp_path / "new")


def test_links_are_not_followed_out(root: Path, tmp_path: Path, calls: list[str]):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "streetview" / "images").symlink_to(outside)
    with pytest.raises(DataError, match=r"streetview/images: it is a link"):
        extract(root, root)
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["../evil.jpg", "streetview/images/../../evil.jpg", "metadata/large_area_val_map.csv",
                                  "satellite/layout.yaml", ".jzi-extract.json", "streetview/images/deep/a.jpg", "/evil.jpg"])
def test_members_elsewhere_are_refused(root: Path, tmp_path: Path, name: str, calls: list[str]):
    members = {"streetview/images/a_undistorted.jpg": b"a", name: b"evil"}
    fakes.write_tar(root / "archives" / "streetview_images_009.tar", members)
    before = files_below(root)
    with pytest.raises(TileError, match=r"streetview_images_009\.tar"):
        extract(root, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()
    with pytest.raises(TileError, match=r"streetview_images_009\.tar"):
        extract(root, root)
    assert files_below(root) == before
    assert not (tmp_path / "evil.jpg").exists()


def test_too_little_disk(root: Path, tmp_path: Path, monkeypatch, calls: list[str]):
    need = sum(-(-size // 4096) * 4096 for level in (-2, -1) for size in Map.open(root).source.table(level).sizes.tolist())
    photos = open_dataset(root).photos
    need += sum(-(-len(photos.read(i)) // 4096) * 4096 for i in photos.ids())
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=need - 1))
    with pytest.raises(DataError, match=rf"need {need:,} bytes.* has only {need - 1:,} bytes free.*--delete-archives"):
        extract(root, tmp_path / "dest")
    assert not (tmp_path / "dest").exists()
    extract(root, tmp_path / "dest", delete_archives=True)
