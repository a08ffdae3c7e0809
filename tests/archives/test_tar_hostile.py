"""Hostile and broken shards: every error names shard and member, and no byte outside a member is ever read."""

import io
import json
import os
import tarfile
import time
import tracemalloc
import unicodedata
import zipfile

import numpy as np
import pytest

from fakes import write_tar
from justzoomin.archives import TarShards, check_shard
from justzoomin.archives import scan as tarscan
from justzoomin.archives.headers import MAX_EXTRA_BYTES
from justzoomin.errors import TileError

ZEROS = bytes(1024)


def header(name=b"one", size=0, kind=b"0", *, prefix=b"", magic=b"ustar\x0000", raw_size=None):
    """Return one header block with a valid checksum."""
    block = bytearray(512)
    block[:len(name[:100])] = name[:100]
    block[100:108] = block[108:116] = block[116:124] = b"0000644\0"
    block[124:136] = raw_size or b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:257 + len(magic)] = magic
    block[345:345 + len(prefix)] = prefix
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name=b"one", content=b"1", kind=b"0", **more):
    return header(name, len(content), kind, **more) + content + bytes(-len(content) % 512)


def pax(records, kind=b"x"):
    """Return a pax header of records; text records get their lengths."""
    def line(record):
        if isinstance(record, bytes):
            return record
        body = f" {record}\n".encode()
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length += 1
        return str(length).encode() + body

    return member(b"PaxHeaders/x", b"".join(map(line, records)), kind)


@pytest.fixture
def refused(tmp_path):
    def refuse(content, words, name=None):
        path = tmp_path / "bad.tar"
        path.write_bytes(content)
        with pytest.raises(TileError, match=words) as caught:
            TarShards([path])
        assert caught.value.where.startswith(str(path)), caught.value.where
        if name is not None:
            assert caught.value.where == f"{path}!{name!r}"
        assert caught.value.remedy.endswith(".")
        return caught.value

    return refuse


@pytest.fixture
def read(tmp_path):
    def reader(content):
        path = tmp_path / "good.tar"
        path.write_bytes(content)
        shards = TarShards([path])
        return {name: shards.read(name) for name in shards.names()}

    return reader


def test_headers_of_this_file_are_those_of_tarfile(read):
    content = member(b"a/b", b"123") + member(b"c", b"", prefix=b"long/prefix") + member(b"d/", b"", b"5") + ZEROS
    assert read(content) == {"a/b": b"123", "long/prefix/c": b""}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert [m.name for m in tar] == ["a/b", "long/prefix/c", "d"]


@pytest.mark.parametrize("name", [
    b"/etc/passwd", b"../up", b"a/../../up", b"a\\b", b"..", b"a//b", b"a/./b", b"a/",
    b"././a", b"a\x1b[2Jb", b"a\nb", b"\x7f"])
def test_absolute_climbing_and_odd_paths(refused, name):
    refused(member(b"good", b"1") + member(name, b"1") + ZEROS, "absolute, leads out")


@pytest.mark.parametrize("name", [b"/d", b"../d/", b"d/../../e/"])
def test_folders_may_not_climb_either(refused, name):
    refused(member(name, b"", b"5") + ZEROS, "absolute, leads out")


def test_folders_are_ignored_unless_they_claim_content(read, refused):
    folders = b"".join(member(name, b"", b"5") for name in (b"./", b"d", b"d/e/"))
    assert read(folders + member() + ZEROS) == {"one": b"1"}
    refused(member(b"d/", b"x" * 9, b"5") + ZEROS, "claims 9 bytes of content")


@pytest.mark.parametrize(("kind", "words"), [
    (b"1", "hard link"), (b"2", "symbolic link"), (b"3", "device"), (b"4", "device"), (b"6", "pipe"), (b"K", "link"),
    (b"S", "sparse"), (b"M", "several volumes"), (b"V", "label"), (b"7", "unknown kind"), (b"Z", "unknown kind"),
    (b"X", "unknown kind")])
def test_links_devices_and_other_kinds(refused, kind, words):
    refused(member(b"a/b", b"", kind) + ZEROS, words, "a/b")


def test_duplicates(refused):
    refused(member(b"a") + member(b"b") + member(b"a") + ZEROS, "contains this name twice", "a")
    refused(member(b"a") + member(b"./a") + ZEROS, "contains this name twice", "a")


ACUTE = "caf\u00e9"


@pytest.mark.parametrize(("one", "other"), [
    ("photo.jpg", "Photo.jpg"), (ACUTE, unicodedata.normalize("NFD", ACUTE)),
    (ACUTE.upper(), unicodedata.normalize("NFD", ACUTE)), ("stra\u00dfe", "STRASSE")])
def test_names_that_differ_by_case_or_unicode_form_alone(refused, tmp_path, one, other):
    refused(member(one.encode()) + member(b"between") + member(other.encode()) + ZEROS, "by case or Unicode form alone")
    a, b = write_tar(tmp_path / "a.tar", {one: b"1"}), write_tar(tmp_path / "b.tar", {other: b"2"})
    assert TarShards([a]).read(one) == b"1"  # either alone is fine
    assert TarShards([b]).read(other) == b"2"
    with pytest.raises(TileError, match="by case or Unicode form alone") as caught:
        TarShards([a, b])
    assert "a.tar" in str(caught.value) and "b.tar" in str(caught.value)


def test_names_that_are_not_utf_8(refused):
    refused(member(b"\xff\xfe") + ZEROS, "not valid UTF-8")


@pytest.mark.parametrize("size", [b"\x80" + (2**60).to_bytes(11, "big"), b"77777777777\0", b"\x80" + b"\xff" * 11])
def test_enormous_sizes(refused, size):
    error = refused(header(b"big", raw_size=size) + b"1" * 512 + ZEROS, "the shard ends within this member", "big")
    assert "claims" in error.what


@pytest.mark.parametrize("size", [b"\xff" * 12, b"-0000000001\0", b"0x000000001\0", b"0000000000 1", b"1_000000000\0"])
def test_sizes_that_are_negative_or_not_numbers(refused, size):
    refused(header(b"odd", raw_size=size) + b"1" * 512 + ZEROS, "negative or not a number", "odd")


def test_base_256_sizes_that_fit(read):
    assert read(header(b"a", raw_size=b"\x80" + (5).to_bytes(11, "big")) + b"12345" + bytes(507) + ZEROS) == {"a": b"12345"}


def test_every_truncation_is_found(tmp_path):
    whole = member(b"a", b"1" * 700) + pax(["path=b"]) + member(b"x", b"2" * 600) + ZEROS
    path = tmp_path / "cut.tar"
    for length in [*range(0, len(whole) - len(ZEROS) + 511, 256), len(whole) - len(ZEROS)]:
        path.write_bytes(whole[:length])
        with pytest.raises(TileError, match=r"cut off|ends within|not an uncompressed TAR|cut\.tar"):
            TarShards([path])
    path.write_bytes(whole[:-512])  # one block of zeros ends it as well
    assert TarShards([path]).names() == ["a", "b"]


def test_a_damaged_header_does_not_end_the_archive_silently(refused):
    """The standard library stops there and never sees the members that follow."""
    whole = bytearray(member(b"a") + member(b"b") + member(b"c") + ZEROS)
    whole[1024 + 5] ^= 1
    with tarfile.open(fileobj=io.BytesIO(bytes(whole))) as tar:
        assert tar.getnames() == ["a"]
    refused(bytes(whole), "not that of an uncompressed TAR")


@pytest.mark.parametrize("tail", [member(b"b") + ZEROS, b"x", bytes(5000) + b"\x01"])
def test_content_after_the_end_is_found(refused, tail):
    refused(member(b"a") + ZEROS + tail, "content after its end mark")


def test_padding_after_the_end_is_fine(read):
    assert read(member() + ZEROS + bytes(9000)) == {"one": b"1"}


def test_a_tail_of_endless_zeros_is_not_read(tmp_path):
    path = tmp_path / "long.tar"
    path.write_bytes(member() + ZEROS)
    with path.open("r+b") as file:
        file.truncate(1 << 43)
    start = time.monotonic()
    with pytest.raises(TileError, match="after its end mark"):
        TarShards([path])
    assert time.monotonic() - start < 2


def test_pax_may_name_and_size_a_member(read):
    content = pax(["mtime=1.5", "path=deep/\u00e4.jpg", "size=3", "comment=hi"]) + header(b"short", 0) + b"123" + bytes(509)
    assert read(pax(["comment=of a tool"], b"g") + content + ZEROS) == {"deep/\u00e4.jpg": b"123"}


@pytest.mark.parametrize(("records", "words"), [
    (["path=/etc/passwd"], "leads out"), (["path=../x"], "leads out"), (["path=a\0b"], "leads out"), (["path="], "leads out"),
    (["size=-1"], "not a number"), (["size=1e3"], "not a number"), (["size=" + "9" * 30], "not a number"),
    (["size=99999999"], "ends within this member"), (["GNU.sparse.major=1"], "sparse"), (["GNU.sparse.map=0,1"], "sparse"),
    ([b"99 path=a\n"], "length is wrong"), ([b"5 path=a\n"], "length is wrong"), ([b"path=a\n"], "length is wrong"),
    ([b"-9 path=a\n"], "length is wrong"), ([b"0 a=b\n"], "length is wrong"),
    ([b"9999999999999999999999 a=b\n"], "length is wrong"),
    ([b"8 path=a\n\n"], "length is wrong"), (["path=a", "path=b"], "two headers"), (["path=" + "n" * 600], "600 bytes")])
def test_invalid_pax_records(refused, records, words):
    refused(pax(records) + member() + ZEROS, words)


@pytest.mark.parametrize("record", ["path=all", "size=1"])
def test_global_pax_headers_may_not_name_members(refused, record):
    refused(pax([record], b"g") + member() + ZEROS, "gives all members the same")


def test_headers_without_a_member_and_doubled_headers(refused):
    refused(pax(["path=a"]) + ZEROS, "announces a member that is missing")
    refused(pax(["path=a"]) + pax(["path=b"]) + member() + ZEROS, "two extra headers of one kind")
    refused(pax(["path=a"]) + member(b"././@LongLink", b"b\0", b"L") + member() + ZEROS, "give a name to one member")


@pytest.mark.parametrize("kind", [b"x", b"g", b"L"])
def test_enormous_headers_are_not_read_into_memory(tmp_path, kind):
    path = tmp_path / "bomb.tar"
    path.write_bytes(header(b"h", 1 << 32, kind))
    with path.open("r+b") as file:
        file.truncate(1 << 33)  # a sparse file, so the header really has this size
    tracemalloc.start()
    with pytest.raises(TileError, match=f"a header of {1 << 32} bytes"):
        TarShards([path])
    assert tracemalloc.get_traced_memory()[1] < 10 * MAX_EXTRA_BYTES
    tracemalloc.stop()


def test_one_long_name_does_not_inflate_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(tarscan, "MAX_TABLE_BYTES", 4000)
    with pytest.raises(TileError, match="shorter names"):
        TarShards([write_tar(tmp_path / "a.tar", {"n" * 90: b"", **{str(k): b"" for k in range(50)}})])


def test_gnu_headers_have_no_prefix(read):
    """GNU tar stores times where POSIX has the prefix of the name."""
    assert read(member(b"a", b"1", prefix=b"00000000001", magic=b"ustar  \0") + ZEROS) == {"a": b"1"}


def test_a_pipe_of_that_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tar")
    with pytest.raises(TileError, match="not a regular file"):
        TarShards([tmp_path / "a.tar"])


# A shard replaced under a running reader


def test_open_readers_of_a_replaced_shard_continue_with_the_old_file(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"one": b"old", "two": b"old 2"})
    reading, waiting = TarShards([path]), TarShards([path])
    assert reading.read("one") == b"old"
    write_tar(tmp_path / "new.tar", {"one": b"new and longer" * 100}).replace(path)
    assert reading.read("two") == b"old 2"  # its descriptor is that of the old file, whose content is consistent
    with pytest.raises(TileError, match="changed after its index was read"):
        waiting.read("one")  # this reader had not opened the shard yet
    reading.close()
    with pytest.raises(TileError, match="changed after its index was read"):
        reading.read("two")
    assert TarShards([path]).read("one") == b"new and longer" * 100


def test_a_shard_overwritten_in_place_is_not_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"one": b"1" * 3000})
    shards = TarShards([path])
    assert shards.read("one") == b"1" * 3000
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(TileError, match="changed"):
        shards.read("one")


# Forged index files


def forged(path, **changes):
    """Write an index file of a shard with some arrays replaced."""
    place = path.parent / ".jzi-index" / f"{path.name}.npz"
    with np.load(place) as kept:
        arrays = {key: kept[key] for key in kept.files}
    arrays.update(changes)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    place.write_bytes(buffer.getvalue())
    return place


@pytest.fixture
def shard(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"one": b"1" * 600, "two": b"22"})
    TarShards([path])
    return path


def text(*names):
    return np.frombuffer(b"\0".join(names), np.uint8)


@pytest.mark.parametrize("changes", [
    {"offsets": np.array([512, 1 << 60])}, {"offsets": np.array([-512, 512])}, {"sizes": np.array([1 << 40, 1])},
    {"sizes": np.array([2**63 - 1, 1])}, {"sizes": np.array([-1, 2])}, {"offsets": np.array([512, 512])},
    {"offsets": np.array([513, 1537])}, {"offsets": np.array([0, 1536])}, {"names": text(b"two", b"one")},
    {"names": text(b"one", b"one")}, {"names": text(b"../one", b"two")}, {"names": text(b"/one", b"two")},
    {"names": text(b"one")}, {"names": text(b"one", b"three", b"two")}, {"names": text(b"One", b"one")},
    {"names": text(b"\xff", b"\xff\xff")}, {"offsets": np.array([512.0, 1536.0])}, {"offsets": np.array([[512, 1536]])},
    {"sizes": np.array(["a", "b"], object)}, {"names": np.zeros(0, np.uint8)}, {"extra": np.zeros(3)},
    {"head": np.frombuffer(json.dumps({"version": 2}).encode(), np.uint8)}])
def test_a_forged_index_is_built_again(shard, changes):
    forged(shard, **changes)
    shards = TarShards([shard])
    assert {n: shards.read(n) for n in shards.names()} == {"one": b"1" * 600, "two": b"22"}


def test_an_index_that_is_a_bomb_is_not_unpacked(shard):
    place = shard.parent / ".jzi-index" / "a.tar.npz"
    npy = io.BytesIO()
    np.save(npy, np.zeros(1000, np.uint8))
    claims = npy.getvalue().replace(b"(1000,)", b"(1 << 50,)"[:7].ljust(7)).replace(b"1 << 50", b"9999999")
    for method, content in ((zipfile.ZIP_DEFLATED, bytes(1 << 26)), (zipfile.ZIP_STORED, claims)):
        with zipfile.ZipFile(place, "w", method) as bomb:
            for name in ("head", "names", "offsets", "sizes"):
                bomb.writestr(f"{name}.npy", content)
        tracemalloc.start()
        assert TarShards([shard]).read("two") == b"22"
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
        tracemalloc.stop()


def test_an_index_with_pickles_runs_nothing(shard, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    forged(shard, sizes=np.array([Hostile(), Hostile()], object))
    assert TarShards([shard]).read("two") == b"22" and not (tmp_path / "owned").exists()


def test_verification_finds_a_forged_index_that_fits(shard):
    assert len(check_shard(shard).names) == 2
    place = forged(shard, names=text(b"six", b"two"))
    assert TarShards([shard]).names() == ["six", "two"]  # not noticed without reading the headers
    with pytest.raises(TileError, match=r"disagrees with .* about names or offsets") as caught:
        check_shard(shard)
    assert caught.value.where == str(place)
    place.unlink()
    check_shard(shard)
    assert TarShards([shard]).names() == ["one", "two"]
