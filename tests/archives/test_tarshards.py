"""TAR shards read in place: what is read, what is refused, when the index is made again."""

import io
import os
import pickle
import tarfile
from pathlib import Path

import pytest

from justzoomin.archives import TarShards
from justzoomin.archives import index as tarindex
from justzoomin.errors import TileError
from justzoomin.maps import Map


def write_tar(path: Path, members: dict[str, bytes], **kwargs) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **kwargs) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_members_are_read(tmp_path):
    long = "photos/" + "x" * 180 + ".jpg"
    a = write_tar(tmp_path / "a.tar", {"d/one.jpg": b"1" * 700, "./d/two.jpg": b"22"}, format=tarfile.USTAR_FORMAT)
    b = write_tar(tmp_path / "b.tar", {long: b"long", "ä/three.jpg": b"333", "empty": b""}, format=tarfile.GNU_FORMAT)
    shards = TarShards([b, a])
    assert len(shards) == 5 and shards.names() == sorted(shards.names(), key=str.encode)
    assert shards.read("d/one.jpg") == b"1" * 700 and shards.read("d/two.jpg") == b"22"
    assert shards.read(long) == b"long" and shards.read("ä/three.jpg") == b"333" and shards.read("empty") == b""
    assert shards.shard_of("d/two.jpg") == a and shards.shard_of(long) == b
    assert shards.sizes == {"d/one.jpg": 700, "d/two.jpg": 2, long: 4, "ä/three.jpg": 3, "empty": 0}
    assert "d/one.jpg" in shards and "d/one.jp" not in shards and "x" * 500 not in shards and 3 not in shards
    assert "empty\0" not in shards
    with pytest.raises(TileError, match="no shard contains this member"):
        shards.read("nothing")
    copy = pickle.loads(pickle.dumps(shards))
    shards.close()
    assert copy.read("d/two.jpg") == shards.read("d/two.jpg") == b"22"


def test_no_shards_is_an_empty_space():
    shards = TarShards([])
    assert len(shards) == 0 and "a" not in shards and shards.names() == []


def test_the_index_is_kept_and_built_again_when_the_shard_changed(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "a.tar", {"one": b"1"})
    scans = []
    real = tarindex.scan
    monkeypatch.setattr(tarindex, "scan", lambda p: scans.append(p) or real(p))
    first = TarShards([path])
    assert (tmp_path / ".jzi-index" / "a.tar.npz").is_file() and len(scans) == 1
    assert TarShards([path]).read("one") == b"1" and len(scans) == 1
    write_tar(path, {"one": b"other", "two": b"2"})
    assert TarShards([path]).read("one") == b"other" and len(scans) == 2
    with pytest.raises(TileError, match="changed"):
        first.read("one")
    os.utime(path, (5, 5))
    assert TarShards([path]).names() == ["one", "two"] and len(scans) == 3
    assert [p.name for p in (tmp_path / ".jzi-index").iterdir()] == ["a.tar.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 broken", None])
def test_a_broken_index_is_built_again(tmp_path, damage):
    path = write_tar(tmp_path / "a.tar", {"one": b"1", "two": b"22"})
    TarShards([path])
    index = tmp_path / ".jzi-index" / "a.tar.npz"
    whole = index.read_bytes()
    index.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert TarShards([path]).read("two") == b"22"
    assert index.read_bytes() == whole


def test_a_folder_marked_read_only_stays_as_it_is(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    path = write_tar(folder / "a.tar", {"one": b"1"})
    monkeypatch.setenv("JZI_HOME", str(tmp_path / "home"))
    folder.chmod(0o555)
    try:
        assert TarShards([path]).read("one") == b"1"
        assert [p.name for p in folder.iterdir()] == ["a.tar"]
        assert len(list((tmp_path / "home" / "index").glob("a.tar.*.npz"))) == 1
        (tmp_path / "locked").mkdir(mode=0o555)
        monkeypatch.setenv("JZI_HOME", str(tmp_path / "locked"))
        assert TarShards([path]).read("one") == b"1"
        chosen = TarShards([path], cache_dir=tmp_path / "mine")
        assert chosen.read("one") == b"1" and len(list((tmp_path / "mine").iterdir())) == 1
    finally:
        folder.chmod(0o755)


def test_a_name_in_two_shards_is_refused(tmp_path):
    a, b = write_tar(tmp_path / "a.tar", {"one": b"1"}), write_tar(tmp_path / "b.tar", {"one": b"2"})
    with pytest.raises(TileError, match=r"(?s)a\.tar!one.*b\.tar"):
        TarShards([a, b])


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "a\\b"])
def test_climbing_names_are_refused(tmp_path, name):
    with pytest.raises(TileError, match="leads out"):
        TarShards([write_tar(tmp_path / "a.tar", {name: b"1"})])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_special_files_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(TileError, match="link or a special file"):
        TarShards([tmp_path / "a.tar"])


def test_twice_the_same_name_in_one_shard_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("one"))
    with pytest.raises(TileError, match="twice"):
        TarShards([tmp_path / "a.tar"])


def test_incomplete_tars_are_refused(tmp_path):
    whole = write_tar(tmp_path / "a.tar", {"one": b"1" * 5000, "two": b"2" * 5000}).read_bytes()
    for content in (whole[:3000], whole[:7000], b"not a tar file" * 100):
        (tmp_path / "b.tar").write_bytes(content)
        with pytest.raises(TileError, match=r"b\.tar"):
            TarShards([tmp_path / "b.tar"])
    write_tar(tmp_path / "c.tar", {"one": b"1"})
    with tarfile.open(tmp_path / "d.tar", "w:gz") as archive:
        archive.add(tmp_path / "c.tar", "c")
    with pytest.raises(TileError, match="uncompressed"):
        TarShards([tmp_path / "d.tar"])
    with pytest.raises(TileError, match="cannot be read"):
        TarShards([tmp_path / "missing.tar"])


def test_nothing_is_extracted_and_a_foreign_level_is_found(repository):
    before = {p for p in repository.rglob("*") if ".jzi-index" not in p.parts}
    tile_map = Map.open(repository)
    tile_map.info()
    assert {p for p in repository.rglob("*") if ".jzi-index" not in p.parts} == before
    archives = repository / "archives"
    (archives / "satellite_level_0_000.tar").rename(archives / "satellite_level_m1_007.tar")
    with pytest.raises(TileError, match="not a tile of level -1"):
        Map.open(repository).info()
