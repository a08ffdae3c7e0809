"""A download from a small hub: only what is needed, every file correct, whatever the hub and the network do."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_helpers import Pauses, files_below
from hub_server import REPO, Answer, Hub

from justzoomin.archives import DownloadRecord, check_hashes
from justzoomin.data import open_dataset
from justzoomin.errors import ConfigError, DataError
from justzoomin.geometry import preset
from justzoomin.hub import Selection, download, plan_download
from justzoomin.hub.selection import needed_levels
from justzoomin.maps import Map
from justzoomin.tiles import CARD_LAYOUT

SMALL = Selection(pixels=32)
LEVEL_0, LEVEL_1, LEVEL_2 = (f"archives/satellite_level_{name}_000.tar" for name in ("0", "m1", "m2"))
PHOTOS = "archives/streetview_images_000.tar"
VAL = "metadata/large_area_val_map.csv"


def fetch(dest: Path, pauses: Pauses, selection: Selection | None = SMALL, **options: object) -> DownloadRecord:
    plan = plan_download(dest, options.pop("repo_id", REPO), selection=selection, retry=pauses.retry, **options)
    return download(plan, workers=2, retry=pauses.retry)


def expected(hub: Hub, leave: tuple[str, ...] = (LEVEL_0,)) -> dict[str, bytes]:
    """Return what a download of the main branch must contain, byte for byte."""
    files = hub.commits[hub.branches["main"]]
    return {name: content for name, content in files.items() if name not in {*leave, ".gitattributes", "paper.pdf"}}


def refused(folder: Path) -> str:
    """Return the error that every way to open an incomplete folder gives."""
    texts = set()
    for opened in (lambda: open_dataset(folder), lambda: Map.open(folder)):
        with pytest.raises(DataError) as error:
            opened()
        texts.add(str(error.value))
    if (folder / "satellite" / "layout.yaml").is_file():
        for inner in (folder / "satellite", folder / "satellite" / "layout.yaml"):
            with pytest.raises(DataError, match="download"):
                Map.open(inner)
    (text,) = texts
    return text


def test_the_published_map_needs_four_of_its_ten_levels():
    assert needed_levels(CARD_LAYOUT, preset("dc"), 384, "") == (-7, -5, -3, -1)


def test_only_what_views_are_drawn_from_is_fetched(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest = tmp_path / "dest"
    plan = plan_download(dest, REPO, selection=SMALL)
    assert not dest.exists(), "a plan writes nothing"
    assert plan.record.levels == (-2, -1)
    assert plan.record.splits == ("train", "val")
    assert plan.left_out["level 0"] == (1, len(hub.commits[plan.record.commit][LEVEL_0]))
    assert plan.left_out["other"][0] == 2
    assert (plan.record.licence, plan.record.attribution) == ("cc-by-sa-4.0", "Drawn by a program; CC0.")
    assert plan.total_bytes == plan.bytes_to_fetch == sum(map(len, expected(hub).values()))
    steps: list[tuple[str, int, int]] = []
    record = download(plan, lambda *step: steps.append(step), workers=3)
    assert files_below(dest) == expected(hub)
    assert steps[-1] == ("download", plan.total_bytes, plan.total_bytes)
    assert not [path for path in hub.fetched() if path in {LEVEL_0, "paper.pdf", ".gitattributes"}]
    assert (record.complete, record.commit, record.endpoint) == (True, hub.branches["main"], hub.url)
    assert sorted(p.name for p in dest.iterdir() if p.name.startswith(".")) == [".jzi-download.json"]
    assert check_hashes(dest) == []
    dataset = open_dataset(dest)
    dataset.check("val")
    assert tuple(dataset.map.levels()) == (-2, -1)


def test_a_complete_folder_is_not_fetched_again(hub: Hub, tmp_path: Path, pauses: Pauses, monkeypatch):
    fetch(tmp_path / "dest", pauses)
    before = len(hub.log)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for selection in (SMALL, None):
        plan = plan_download(tmp_path / "dest", selection=selection)
        assert plan.complete and plan.bytes_to_fetch == 0
        assert download(plan).complete
    assert len(hub.log) == before, "the hub was asked"


def test_levels_and_splits_are_added_and_missing_ones_listed(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest = tmp_path / "dest"
    fetch(dest, pauses, Selection(levels=(-2,), splits=("val",)))
    assert files_below(dest) == expected(hub, (LEVEL_0, LEVEL_1, "metadata/large_area_train_map.csv"))
    before = len(hub.log)
    record = fetch(dest, pauses, Selection(levels=(0,)))
    assert (record.levels, record.splits) == ((-2, 0), ("train", "val"))
    assert files_below(dest) == expected(hub, (LEVEL_1,))
    assert [p for m, p, _ in hub.log[before:] if p.endswith(".tar")] == [LEVEL_0]
    assert fetch(dest, pauses, Selection(levels="all")).levels == (-2, -1, 0)
    with pytest.raises(ConfigError, match=r"--levels: level -9, 4.*no tiles.*Available levels: -2, -1, 0\."):
        plan_download(tmp_path / "other", REPO, selection=Selection(levels=(4, -9)))
    with pytest.raises(ConfigError, match=r"--splits tset.*Available splits: train, val\."):
        plan_download(tmp_path / "other", REPO, selection=Selection(splits=("val", "tset")))


def test_a_level_the_grid_needs_and_the_hub_lacks(hub: Hub, tmp_path: Path):
    hub.commit({n: c for n, c in hub.commits[hub.branches["main"]].items() if n != LEVEL_1})
    with pytest.raises(ConfigError, match=r"--pixels 32: level -1.*Available levels: -2, 0\."):
        plan_download(tmp_path / "dest", REPO, selection=SMALL)


def test_a_repository_of_something_else(hub: Hub, tmp_path: Path):
    hub.commit({"README.md": b"words"})
    with pytest.raises(DataError, match=r"satellite/layout\.yaml.*not have the published dataset's layout"):
        plan_download(tmp_path / "dest", REPO)
    with pytest.raises(DataError, match=r"no such dataset repository.*hf auth login"):
        plan_download(tmp_path / "dest", "town/other")
    with pytest.raises(ConfigError, match=r"--repo-id 'a b/c'.*owner/name"):
        plan_download(tmp_path / "dest", "a b/c")
    with pytest.raises(DataError, match=r"no such revision.*--revision"):
        plan_download(tmp_path / "dest", REPO, "v9")


def test_cut_connections_resume_where_they_broke(hub: Hub, tmp_path: Path, pauses: Pauses):
    hub.failures[LEVEL_1] = [Answer(cut_after=100_000), Answer(cut_after=1000), Answer(cut_after=0)]
    hub.failures[PHOTOS] = [Answer(cut_after=7)]
    fetch(tmp_path / "dest", pauses)
    assert files_below(tmp_path / "dest") == expected(hub)
    starts = [first for _, path, first in hub.log if path == LEVEL_1]
    assert starts == [0, 100_000, 101_000, 101_000]
    assert sorted(pauses) == [1.0, 1.0, 1.0, 2.0], "a connection that made progress resets the pauses"


def test_a_hub_that_does_not_know_ranges(hub: Hub, tmp_path: Path, pauses: Pauses):
    hub.failures[LEVEL_1] = [Answer(cut_after=5000), Answer(range_ignored=True)]
    hub.failures[PHOTOS] = [Answer(cut_after=5000), Answer(status=416)]
    steps: list[int] = []
    plan = plan_download(tmp_path / "dest", REPO, selection=SMALL)
    download(plan, lambda _, done, total: steps.append(done), retry=pauses.retry)
    assert files_below(tmp_path / "dest") == expected(hub)
    assert steps[-1] == max(steps) == plan.total_bytes


def test_busy_hubs_are_waited_for(hub: Hub, tmp_path: Path, pauses: Pauses):
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    hub.failures[LEVEL_1] = [Answer(429, {"Retry-After": "17"}), Answer(503), Answer(500)]
    hub.failures[LEVEL_2] = [Answer(429, {"Retry-After": later})]
    hub.failures[VAL] = [Answer(429, {"RateLimit": '"resolvers";r=0;t=33'})]
    hub.failures["/revision/main"] = [Answer(502)]
    fetch(tmp_path / "dest", pauses)
    assert files_below(tmp_path / "dest") == expected(hub)
    rest = sorted(p for p in pauses if not 90 < p <= 100)
    assert rest == [1.0, 2.0, 4.0, 17.0, 33.0]
    assert len(pauses) == len(rest) + 1
    assert any("503" in text and LEVEL_1 in text and "next try in 2 s" in text for text in pauses.notices)


def test_a_hub_that_stays_down(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest = tmp_path / "dest"
    hub.failures[LEVEL_1] = [Answer(cut_after=4000)] + [Answer(503)] * 10
    with pytest.raises(DataError, match=rf"{LEVEL_1}: the hub answers 503\. Run the same command again: it continues"):
        fetch(dest, pauses)
    assert "not complete" in (text := refused(dest)) and f"jzi data download {dest}" in text
    assert not (dest / LEVEL_1).exists()
    hub.failures.clear()
    hub.log.clear()
    fetch(dest, pauses, None, repo_id=None)
    assert files_below(dest) == expected(hub)
    assert [first for _, path, first in hub.log if path == LEVEL_1] == [4000]
    assert VAL not in hub.fetched()
    hub.failures[LEVEL_0] = [Answer(429, {"Retry-After": "86400"})]
    with pytest.raises(DataError, match="429, too many requests and asks for a pause of 86400 s"):
        fetch(dest, pauses, Selection(levels="all"))


def test_wrong_content_never_gets_a_name(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest, right = tmp_path / "dest", hub.commits[hub.branches["main"]][LEVEL_1]
    wrong = bytes([right[0] ^ 1]) + right[1:]
    hub.failures[LEVEL_1] = [Answer(content=wrong)] * 2
    hub.failures[VAL] = [Answer(content=expected(hub)[VAL][:-1] + b"9")]
    plan = plan_download(dest, REPO, selection=SMALL)  # small files that it reads itself are checked too
    download(plan, retry=pauses.retry)
    assert files_below(dest) == expected(hub)
    assert [path for path in hub.fetched() if path == LEVEL_1] == [LEVEL_1] * 3
    assert sum("fetching it again" in text and "sha256" in text for text in pauses.notices) == 2
    other = tmp_path / "other"
    hub.failures[LEVEL_1] = [Answer(content=wrong)] * 3
    with pytest.raises(DataError, match=rf"{LEVEL_1}: the content sent.*sha256 is [0-9a-f]{{64}} instead of [0-9a-f]{{64}}"):
        fetch(other, pauses)
    assert not (other / LEVEL_1).exists()
    assert "missing" in refused(other)
    fetch(other, pauses)
    assert files_below(other) == expected(hub)


def test_more_bytes_than_listed_are_not_written(hub: Hub, tmp_path: Path, pauses: Pauses):
    right = hub.commits[hub.branches["main"]][PHOTOS]
    hub.failures[PHOTOS] = [Answer(content=b"x" * (len(right) * 3))]
    written = []
    plan = plan_download(tmp_path / "dest", REPO, selection=SMALL)
    download(plan, lambda _, done, total: written.append((done, total)), retry=pauses.retry)
    assert all(done <= total for done, total in written)
    assert files_below(tmp_path / "dest") == expected(hub)


def test_wrong_layouts_stop_the_plan(hub: Hub, tmp_path: Path, pauses: Pauses):
    hub.failures["layout.yaml"] = [Answer(content=b"min_zoom: 0\nmax_zoom: 0\n")] * 3
    with pytest.raises(DataError, match=r"layout\.yaml: the hub sent 24 bytes with git-sha1"):
        plan_download(tmp_path / "dest", REPO, retry=pauses.retry)


def test_a_branch_that_moves(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest, first = tmp_path / "dest", hub.branches["main"]
    old, new = expected(hub), dict(hub.commits[first])
    new[VAL] = new[VAL].replace(b"photo 0", b"photo 9")  # same size
    new[LEVEL_1] = new[LEVEL_1] + b"\0" * 10240
    del new["LICENSE"]
    hub.on_get = lambda path: hub.commit(new) if path == VAL else None  # type: ignore[assignment]
    fetch(dest, pauses)
    second = hub.branches["main"]
    assert second != first
    assert files_below(dest) == old, "a download is finished at the commit where it began"
    assert fetch(dest, pauses).commit == first
    hub.failures[LEVEL_1] = [Answer(503)] * 4
    with pytest.raises(DataError, match="503"):
        fetch(dest, pauses, update=True)
    assert "not complete" in refused(dest)
    record = fetch(dest, pauses)
    assert (record.commit, files_below(dest)) == (second, expected(hub))
    assert hub.fetched().count(PHOTOS) == 1, "an unchanged file is not fetched again"
    assert fetch(dest, pauses, None, revision=first).commit == first
    assert files_below(dest) == old


def test_files_that_went_missing_or_wrong_are_fetched_again(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest = tmp_path / "dest"
    fetch(dest, pauses)
    (dest / LEVEL_1).unlink()
    assert f"{dest / LEVEL_1}: the download is not complete: it is missing (1 of " in refused(dest)
    with (dest / VAL).open("ab") as file:
        file.write(b"more")
    assert "2 of " in refused(dest)
    hub.log.clear()
    fetch(dest, pauses)
    assert files_below(dest) == expected(hub)
    assert {path for path in hub.fetched() if not path.startswith("satellite/")} - {"ATTRIBUTION"} == {LEVEL_1, VAL}
    shard = dest / PHOTOS
    content = bytearray(shard.read_bytes())
    content[700] ^= 255
    shard.write_bytes(content)
    (problem,) = check_hashes(dest)
    assert problem.path == PHOTOS and "its sha256 is" in problem.detail


def test_folders_of_something_else(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest = tmp_path / "dest"
    dest.mkdir()
    (dest / "notes.txt").write_text("mine")
    (dest / "README.md").write_text("mine too")
    with pytest.raises(DataError, match=r"README\.md: a file with this name exists"):
        fetch(dest, pauses)
    (dest / "README.md").write_bytes(b"# A tOwn\n")  # only the size is right
    with pytest.raises(DataError, match=r"README\.md: a file with this name exists.*git-sha1"):
        fetch(dest, pauses)
    assert not (dest / ".jzi-download.json").exists()
    assert hub.fetched().count(PHOTOS) == 0
    (dest / "README.md").unlink()
    (dest / "archives").mkdir()
    (dest / LEVEL_0).write_bytes(b"a foreign level")
    with pytest.raises(DataError, match=r"level_0_000\.tar: this shard does not belong.*--levels"):
        fetch(dest, pauses)
    (dest / LEVEL_0).unlink()
    (dest / PHOTOS).write_bytes(expected(hub)[PHOTOS])  # as another tool left it
    hub.log.clear()
    fetch(dest, pauses)
    assert PHOTOS not in hub.fetched()
    assert files_below(dest) == {**expected(hub), "notes.txt": b"mine"}
    with pytest.raises(ConfigError, match=r"holds a download of town/test"):
        plan_download(dest, "town/other")
    with pytest.raises(ConfigError, match="the path is a file"):
        plan_download(dest / "notes.txt", REPO)


def test_part_of_a_level_is_not_forgotten(hub: Hub, tmp_path: Path, pauses: Pauses):
    second = LEVEL_0.replace("_000", "_001")
    hub.commit({**hub.commits[hub.branches["main"]], second: b"\0" * 10240})
    dest = tmp_path / "dest"
    hub.failures[second] = [Answer(404)]
    with pytest.raises(DataError, match="level_0_001"):
        download(plan_download(dest, REPO, selection=Selection(levels="all")), workers=1, retry=pauses.retry)
    with pytest.raises(DataError, match=r"left 1 of 2 files of level 0.*--levels=-2,-1,0, or remove"):
        fetch(dest, pauses)
    (dest / LEVEL_0).unlink()
    assert fetch(dest, pauses).levels == (-2, -1)


@pytest.mark.parametrize("name", ["../evil.csv", "metadata/../../evil.csv", "/etc/evil.csv", "metadata\\evil.csv", "C:evil.csv",
                                  "metadata//evil.csv", "metadata/e\x1bvil.csv", "METADATA/large_area_VAL_map.csv",
                                  "README.md/a",
                                  "metadata/./x.csv"])
def test_hostile_names(hub: Hub, tmp_path: Path, name: str):
    hub.listed = lambda entries: [*entries, {"type": "file", "path": name, "size": 1, "oid": "0" * 40}]
    with pytest.raises(DataError, match=r"Nothing was fetched|On many file systems"):
        plan_download(tmp_path / "dest", REPO)
    assert hub.fetched() == []
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("change", [{"oid": "zz"}, {"size": -1}, {"lfs": {"oid": "0" * 63, "size": 3, "pointerSize": 1}}])
def test_listings_without_size_or_hash(hub: Hub, tmp_path: Path, change: dict[str, object]):
    hub.listed = lambda entries: [{**entries[0], **change}, *entries[1:]]
    with pytest.raises(DataError, match="without size and hash"):
        plan_download(tmp_path / "dest", REPO)


@pytest.mark.parametrize("junk", [
    None, 7, "README.md", [], {}, {"type": "file"}, {"type": "file", "path": 5, "size": 1, "oid": "0" * 40},
    {"type": "link", "path": "x", "size": 1, "oid": "0" * 40}, {"path": "x"}])
def test_junk_in_a_listing(hub: Hub, tmp_path: Path, junk: object):
    hub.listed = lambda entries: [*entries, junk]
    with pytest.raises(DataError, match=r"the hub lists .*, neither a file nor a folder\. Check HF_ENDPOINT"):
        plan_download(tmp_path / "dest", REPO)


@pytest.mark.parametrize("lfs", [7, [], {}, {"oid": "0" * 64}, {"oid": None, "size": 3}])
def test_junk_for_a_large_file(hub: Hub, tmp_path: Path, lfs: object):
    hub.listed = lambda entries: [{**entries[0], "lfs": lfs}, *entries[1:]]
    with pytest.raises(DataError, match="without size and hash"):
        plan_download(tmp_path / "dest", REPO)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[" * 100_000, b"7", b"{}", b"null", b"\xff\xfe"])
@pytest.mark.parametrize("what", ["/revision/main", "/tree/"])
def test_answers_that_no_hub_gives(hub: Hub, tmp_path: Path, what: str, content: bytes):
    hub.failures[what if what != "/tree/" else f"/tree/{hub.branches['main']}"] = [Answer(200, content=content)]
    with pytest.raises(DataError, match="Check HF_ENDPOINT"):
        plan_download(tmp_path / "dest", REPO)


def test_a_listing_without_end(hub: Hub, tmp_path: Path, monkeypatch):
    listing, plain = f"/tree/{hub.branches['main']}", hub.entries(hub.branches["main"])
    again = Answer(200, {"Link": '<http://127.0.0.1:9/else?cursor=0>; rel="next"'}, b"[]")
    monkeypatch.setattr("justzoomin.hub.listing.MAX_PAGES", 20)
    hub.failures[listing] = [again] * 30
    with pytest.raises(DataError, match="has more than 20 pages"):
        plan_download(tmp_path / "dest", REPO)
    assert len(hub.failures[listing]) == 10, "pages come from the requested server, and the token goes nowhere else"
    hub.failures.clear()
    monkeypatch.setattr("justzoomin.hub.listing.MAX_FILES", len(plain) - 3)
    with pytest.raises(DataError, match=rf"more than {len(plain) - 3} files"):
        plan_download(tmp_path / "dest", REPO)
    monkeypatch.setattr("justzoomin.hub.listing.MAX_ANSWER_BYTES", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        plan_download(tmp_path / "dest", REPO)


def test_too_little_disk_is_found_before_the_first_byte(hub: Hub, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    plan = plan_download(tmp_path / "dest", REPO, selection=SMALL)
    with pytest.raises(DataError, match=rf"{plan.bytes_to_fetch:,} bytes are still to be fetched.* has only 1,000 bytes"):
        download(plan)
    assert not (tmp_path / "dest").exists()
    assert not [path for path in hub.fetched() if path.endswith(".tar")]


def test_a_disk_that_fills_up(hub: Hub, tmp_path: Path, pauses: Pauses, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("justzoomin.hub.fetching._Fetcher._stream", full)
    with pytest.raises(DataError, match=r"the disk is full.*run the same command again"):
        fetch(tmp_path / "dest", pauses)
    assert pauses == []
    assert "not complete" in refused(tmp_path / "dest")


@pytest.mark.parametrize("place", [".jzi-download", "archives", "metadata"])
def test_a_link_in_the_folder_is_not_followed(hub: Hub, tmp_path: Path, pauses: Pauses, place: str):
    """Leftovers are removed from `.jzi-download`; when that was a link, the folder behind it was emptied."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "mine").write_text("mine")
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest" / place).symlink_to(outside)
    with pytest.raises(DataError, match=rf"{place}: it is a link, which may lead out of the folder"):
        fetch(tmp_path / "dest", pauses)
    assert sorted(path.name for path in outside.iterdir()) == ["deep", "mine"]


def test_without_a_network(hub: Hub, tmp_path: Path, pauses: Pauses, monkeypatch):
    with pytest.raises(DataError, match=r"the hub at .* cannot be reached.*Check the network and HF_ENDPOINT"):
        plan_download(tmp_path / "dest", REPO, endpoint="http://127.0.0.1:9", retry=pauses.retry)
    assert pauses == [1.0, 2.0, 4.0]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    with pytest.raises(DataError, match=r"HF_HUB_OFFLINE is set\. Unset"):
        plan_download(tmp_path / "dest", REPO, retry=pauses.retry)
    assert len(pauses) == 3, "waiting does not help"


def test_access(hub: Hub, tmp_path: Path, pauses: Pauses, monkeypatch):
    hub.failures["/revision/main"] = [Answer(403, {"X-Error-Code": "GatedRepo"})]
    with pytest.raises(DataError, match=r"not accepted the repository's conditions.*hf auth login"):
        plan_download(tmp_path / "dest", REPO, retry=pauses.retry)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.blob_host = hub.url.replace("127.0.0.1", "localhost")
    fetch(tmp_path / "dest", pauses)
    resolved = [token for path, token in hub.tokens if "/resolve/" in path]
    assert resolved and set(resolved) == {"Bearer hf_secret"}
    assert {token for path, token in hub.tokens if path.startswith("/blobs/")} == {None}, "the token went to another host"
    assert files_below(tmp_path / "dest") == expected(hub)


def test_files_beyond_plain_requests_come_through_the_hub_client(hub: Hub, tmp_path: Path, pauses: Pauses, monkeypatch):
    monkeypatch.setattr("justzoomin.hub.fetching.LARGEST_PLAIN_BYTES", 200_000)
    fetch(tmp_path / "dest", pauses)
    assert files_below(tmp_path / "dest") == expected(hub)
    assert not (tmp_path / "dest" / ".jzi-download").exists()


def test_two_at_once(hub: Hub, tmp_path: Path, pauses: Pauses):
    dest = tmp_path / "dest"
    second = []

    def meanwhile(path: str) -> None:
        if path == LEVEL_1 and not second:
            with pytest.raises(DataError, match="another download is running") as error:
                download(plan)
            second.append(str(error.value))

    plan = plan_download(dest, REPO, selection=SMALL)
    hub.on_get = meanwhile
    download(plan, retry=pauses.retry)
    assert len(second) == 1
    assert files_below(dest) == expected(hub)
    assert not (dest / ".jzi-lock").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_killed_anywhere(hub: Hub, tmp_path: Path, pauses: Pauses, share: float):
    """A child process is killed by signal 9 from within, after that share of the bytes."""
    from huggingface_hub import close_session

    dest = tmp_path / "dest"
    close_session()
    child = os.fork()
    if not child:
        try:
            plan = plan_download(dest, REPO, selection=SMALL)
            download(plan, lambda _, done, total: os.kill(os.getpid(), signal.SIGKILL) if done > share * total else None)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    there = files_below(dest)
    assert there == {name: expected(hub)[name] for name in there}, "a wrong file has a final name"
    assert "not complete" in refused(dest)
    fetch(dest, pauses, None, repo_id=None)
    assert files_below(dest) == expected(hub)
    assert sorted(p.name for p in dest.iterdir() if p.name.startswith(".")) == [".jzi-download.json"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"format": 1}', '{"format": 1, "files": 3}'])
def test_broken_records(tmp_path: Path, text: str):
    (tmp_path / ".jzi-download.json").write_text(text)
    with pytest.raises(DataError, match=r"\.jzi-download\.json.*jzi data download"):
        Map.open(tmp_path)


def test_records_that_lead_out(hub: Hub, tmp_path: Path, pauses: Pauses):
    fetch(tmp_path / "dest", pauses)
    path = tmp_path / "dest" / ".jzi-download.json"
    values = json.loads(path.read_text())
    values["files"]["../../etc/passwd"] = values["files"][VAL]
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="leads out of the folder"):
        open_dataset(tmp_path / "dest")


def test_a_folder_made_by_hand_is_not_asked_for_a_record(town: Path):
    assert open_dataset(town).photos.ids()
    assert check_hashes(town) == []
