"""Verification finds what is wrong, and nothing where nothing is."""

import json
import shutil
import threading

import pytest
from typer.testing import CliRunner

import fakes
from justzoomin.checks import verify_dataset, verify_repository
from justzoomin.checks.findings import KINDS as ALL_KINDS
from justzoomin.checks.findings import VerifyReport, look_at_all
from justzoomin.data import open_dataset

KINDS = {"missing_photo": "missing_photo", "truncated_photo": "broken_photo", "duplicate_id": "duplicate",
         "contradiction": "contradiction", "off_region": "off_region", "short_sequence": "sequence",
         "broken_tile": "broken_tile"}


def test_a_good_dataset_has_no_problem(dataset):
    seen = []
    report = verify_dataset(dataset, progress=lambda *a: seen.append(a))
    assert report.ok and report.problems == [] and report.kinds() == {}
    assert report.counts == {"archives": len(list((dataset.root / "archives").glob("*.tar"))), "records_train": 12,
                             "records_val": 6, "photos": 18, "tiles": sum(dataset.map.levels().values())}
    assert seen[-1] == ("tiles", report.counts["tiles"], report.counts["tiles"])
    assert "tiles" not in verify_dataset(dataset, tiles=False).counts


@pytest.mark.parametrize("extracted", [False, True])
@pytest.mark.parametrize("kind", fakes.BREAKS)
def test_each_kind_alone(tmp_path, kind, extracted):
    root = fakes.make_repository(tmp_path, train=1, val=2, breaks=[kind], extracted=extracted)
    report = verify_dataset(open_dataset(root), tiles=kind == "broken_tile")
    assert report.kinds() == {KINDS[kind]: 1} and not report.ok
    problem = report.problems[0]
    assert problem["detail"] and problem["item"]
    if kind != "broken_tile":
        assert problem["split"] == "val" and problem["item"].startswith("2000000000")


def test_all_kinds_at_once_on_the_command_line(tmp_path):
    from justzoomin.apps.data import app

    root = fakes.make_repository(tmp_path, train=2, breaks=fakes.BREAKS)
    result = CliRunner().invoke(app, ["verify", str(root), "--json"])
    values = json.loads(result.stdout)
    assert result.exit_code == 1 and not values["ok"] and values["kinds"] == dict.fromkeys(KINDS.values(), 1)
    result = CliRunner().invoke(app, ["verify", str(root), "--limit", "2"])
    assert result.exit_code == 1 and "and 5 more" in result.stdout and "7 problems" in result.stdout
    good = fakes.make_repository(tmp_path / "good", train=1, val=1)
    result = CliRunner().invoke(app, ["verify", str(good)])
    assert result.exit_code == 0 and "no problem found" in result.stdout
    info = json.loads(CliRunner().invoke(app, ["info", str(good), "--json"]).stdout)
    assert info["splits"] == {"train": 1, "val": 1} and info["photos"] == 2


def test_a_broken_table_and_a_shared_photo(tmp_path):
    root = fakes.make_repository(tmp_path, train=1, val=1)
    table = root / "metadata" / "large_area_val_map.csv"
    (root / "metadata" / "again.csv").write_bytes(table.read_bytes())
    table.with_name("bad.csv").write_text("image_id,latitude\n1,2\n")
    report = verify_dataset(open_dataset(root), tiles=False)
    assert report.kinds() == {"table": 1, "also_in_split": 1}


@pytest.mark.parametrize(("name", "of", "kind", "also"), [
    ("north", "val", "also_in_split", "val"), ("few", "train", "also_in_split", "few"),
    ("val_north", "val", "also_in_split", "val"),
    ("test", "train", "shared_photo", "train")])
def test_a_split_of_ones_own_may_hold_photos_of_others(tmp_path, name, of, kind, also):
    """Only photos that are trained on and scored on cannot be used as they are."""
    root = fakes.make_repository(tmp_path, train=2, val=2)
    tables = {split: root / "metadata" / f"large_area_{split}_map.csv" for split in ("train", "val")}
    (root / "metadata" / f"{name}.csv").write_bytes(tables[of].read_bytes())
    report = verify_repository(root, tiles=False)
    assert (report.kinds(), report.ok) == ({kind: 2}, kind == "also_in_split")
    assert {p["detail"] for p in report.problems} == {f"the photo is in split {also} as well"}


def test_photos_trained_and_scored_on_are_found_behind_a_third_split(tmp_path):
    root = fakes.make_repository(tmp_path, train=2, val=1)
    train = root / "metadata" / "large_area_train_map.csv"
    for name in ("all", "large_area_val_map"):
        (root / "metadata" / f"{name}.csv").write_bytes(train.read_bytes())
    assert verify_repository(root, tiles=False).kinds() == {"also_in_split": 2, "shared_photo": 2}


def test_another_region_does_not_contradict(repository, dataset):
    from justzoomin.geometry import ZoomGrid

    assert verify_dataset(open_dataset(repository, ZoomGrid(dataset.grid.region, 5, 1)), tiles=False).ok


def kinds(root, **more):
    report = verify_repository(root, **more)
    assert all(p["severity"] == ALL_KINDS[p["kind"]] and p["detail"] and p["item"] for p in report.problems)
    return report.kinds()


@pytest.fixture
def root(tmp_path):
    return fakes.make_repository(tmp_path / "town", train=3, val=2)


def archive(root, name):
    return root / "archives" / name


def test_a_broken_archive_does_not_hide_the_others(root):
    photos, tiles = archive(root, "streetview_images_000.tar"), archive(root, "satellite_level_m1_000.tar")
    whole = verify_repository(root)
    photos.write_bytes(photos.read_bytes()[:3000])
    tiles.write_bytes(b"no tar")
    level_0 = archive(root, "satellite_level_0_000.tar")
    damaged = bytearray(level_0.read_bytes())
    damaged[512 + 200:512 + 260] = bytes(60)  # inside the first tile
    level_0.write_bytes(bytes(damaged))
    report = verify_repository(root)
    assert report.kinds() == {"broken_archive": 2, "missing_photo": 3, "broken_tile": 1}
    assert {str(photos), str(tiles)} == {p["item"].partition("!")[0] for p in report.problems if p["kind"] == "broken_archive"}
    assert report.counts["archives"] == whole.counts["archives"] and report.counts["photos"] == 2
    assert 0 < report.counts["tiles"] < whole.counts["tiles"] and report.counts["records_train"] == 3
    assert not report.ok


def test_what_stands_in_two_shards_is_found(root):
    shutil.copyfile(archive(root, "satellite_level_0_000.tar"), archive(root, "satellite_level_0_001.tar"))
    assert kinds(root) == {"broken_archive": 1}
    archive(root, "satellite_level_0_001.tar").unlink()
    shutil.copyfile(archive(root, "streetview_images_001.tar"), archive(root, "streetview_images_002.tar"))
    assert kinds(root, tiles=False) == {"photos": 1}


def test_members_that_are_no_tiles_of_their_level_are_named(root):
    tiles = archive(root, "satellite_level_0_000.tar")
    fakes.write_tar(archive(root, "satellite_level_0_001.tar"), {"satellite/0/notes.txt": b"x"})
    report = verify_repository(root)
    assert report.kinds() == {"broken_tile": 1} and "no tile of level 0" in report.problems[0]["detail"] and tiles.is_file()


def test_what_nothing_reads_is_a_remark_only(root):
    shutil.copyfile(archive(root, "satellite_level_0_000.tar"), archive(root, "satellite_level_7_000.tar"))
    (root / "archives" / "notes.zip").write_bytes(b"x")
    report = verify_repository(root)
    assert report.kinds() == {"foreign_file": 1, "foreign_level": 1} and report.ok and report.warnings == 2
    bad = archive(root, "satellite_level_7_000.tar")
    bad.write_bytes(bad.read_bytes()[:700])
    assert "broken_archive" in kinds(root)  # every shard is scanned, also those that nothing needs


def test_an_index_that_lies_is_found(root):
    import io

    import numpy as np

    open_dataset(root).photos.ids()
    place = root / "archives" / ".jzi-index" / "streetview_images_000.tar.npz"
    with np.load(place) as kept:
        arrays = {k: kept[k] for k in kept.files}
    arrays["offsets"] = arrays["offsets"][::-1].copy()
    arrays["sizes"] = arrays["sizes"][::-1].copy()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    place.write_bytes(buffer.getvalue())
    report = verify_repository(root, tiles=False)
    assert report.kinds() == {"broken_archive": 1, "missing_photo": 3} and "Delete the index" in report.problems[0]["detail"]
    place.unlink()
    assert kinds(root, tiles=False) == {}


@pytest.mark.parametrize(("damage", "kind"), [
    (lambda r: (r / "satellite" / "layout.yaml").unlink(), "map"),
    (lambda r: (r / "satellite" / "layout.yaml").write_text("min_zoom: &a 1\n"), "map"),
    (lambda r: (r / "satellite" / "layout.yaml").write_text(
        (r / "satellite" / "layout.yaml").read_text().replace("epsg:32631", "epsg:1")), "map"),
    (lambda r: (r / "satellite" / "region.yaml").unlink(), "map"),
    (lambda r: (r / "satellite" / "region.yaml").write_text("grid: 4\n"), "map"),
    (lambda r: shutil.rmtree(r / "metadata"), "table"),
    (lambda r: (r / "metadata" / "large_area_val_map.csv").write_bytes(b"\xff\xfea\0"), "table"),
    (lambda r: [p.unlink() for p in (r / "archives").glob("streetview*")], "photos"),
    (lambda r: [p.unlink() for p in (r / "archives").glob("satellite*")], "map"),
])
def test_what_cannot_be_opened_is_a_report_too(root, damage, kind):
    damage(root)
    report = verify_repository(root)
    assert report.kinds() == {kind: 1} and not report.ok
    assert report.counts.get("photos", 0) + report.counts.get("tiles", 0) > 0  # the rest was looked at


def test_an_empty_and_a_missing_folder(tmp_path):
    assert kinds(tmp_path) == {"map": 1, "table": 1, "photos": 1}
    assert kinds(tmp_path / "none") == {"folder": 1}


def test_a_download_that_changed_is_found(root):
    import hashlib

    from justzoomin.archives import DownloadRecord, FileStamp

    names = [str(p.relative_to(root)) for p in sorted(root.rglob("*.tar")) + sorted(root.rglob("*.csv"))]
    contents = {n: (root / n).read_bytes() for n in names}
    stamps = {n: FileStamp(len(c), "sha256", hashlib.sha256(c).hexdigest()) for n, c in contents.items()}
    DownloadRecord(repo_id="a/b", revision="main", commit="0" * 40, endpoint=None, asked={}, licence="", attribution="",
                   levels=(), splits=(), files=stamps, complete=True).save(root)
    assert kinds(root) == {}
    table = root / "metadata" / "large_area_val_map.csv"
    table.write_bytes(table.read_bytes().replace(b"photo 0", b"photo 9"))
    report = verify_repository(root)
    assert report.kinds() == {"download": 1} and report.problems[0]["item"] == "metadata/large_area_val_map.csv"
    assert kinds(root, hashes=False) == {}  # of the right size, and readable
    archive(root, "satellite_level_0_000.tar").unlink()
    assert kinds(root)["download"] == 2 and "incomplete" in kinds(root, hashes=False)


def test_white_tiles_and_gaps_are_warnings(tmp_path):
    import numpy as np

    root = fakes.make_repository(tmp_path, train=1, val=1, extracted=True)
    tiles = sorted((root / "satellite" / "0").rglob("*.jpg"))
    tiles[0].write_bytes(fakes.encoded(np.full((64, 64, 3), 255, np.uint8)))
    assert kinds(root) == {"white_tile": 1}
    for level in (p for p in (root / "satellite").iterdir() if p.is_dir()):
        columns = sorted(level.iterdir(), key=lambda p: int(p.name))
        shutil.rmtree(columns[len(columns) // 2])
    found = verify_repository(root)
    assert set(found.kinds()) == {"white_tile", "no_data"} and found.ok
    assert found.to_dict()["ok"] and found.to_dict()["errors"] == 0 and found.to_dict()["warnings"] == 2


def test_a_map_of_a_server_is_said_not_to_be_looked_at(root):
    for path in (root / "archives").glob("satellite*"):
        path.unlink()
    layout = root / "satellite" / "layout.yaml"
    layout.write_text(layout.read_text() + "url: http://127.0.0.1:9/{zoom}/{x}/{y}.jpg\n")
    assert kinds(root) == {"not_looked_at": 1}


def test_problems_are_counted_all_and_listed_a_few():
    report = VerifyReport(limit=3)
    for k in range(10):
        report.add("missing_photo", k, "gone", "val")
    report.add("white_tile", "0/0/0", "white")
    assert report.kinds() == {"missing_photo": 10, "white_tile": 1} and len(report.problems) == 4
    values = report.to_dict()
    assert (values["errors"], values["warnings"], values["listed_per_kind"]) == (10, 1, 3)
    assert [p["item"] for p in values["problems"]] == ["0", "1", "2", "0/0/0"]


def test_items_are_taken_as_they_are_needed_and_nothing_is_begun_after_an_error():
    seen, lock, given = set(), threading.Lock(), []

    def items():
        for k in range(100_000):
            given.append(k)
            yield k

    def look(k):
        with lock:
            seen.add(k)
        if k == 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look_at_all(items(), 100_000, look, "x", 2, None)
    assert 500 in seen and len(given) < 2000 and len(seen) < 2000
    done = []
    look_at_all(range(100), 100, seen.add, "y", 3, lambda *a: done.append(a))
    assert done[-1] == ("y", 100, 100) and seen.issuperset(range(100))


def test_the_report_is_a_file_too_and_its_exit_code_says_whether_to_train(root, tmp_path):
    from justzoomin.apps.data import app

    path = tmp_path / "reports" / "verify.json"
    (root / "archives" / "notes.txt").write_text("x")
    result = CliRunner().invoke(app, ["verify", str(root), "--report", str(path), "--workers", "1"])
    assert result.exit_code == 0 and "1 warning: 1 foreign_file" in result.stdout and "can be trained on" in result.stdout
    values = json.loads(path.read_text())
    assert values["ok"] and values["kinds"] == {"foreign_file": 1} and values["root"] == str(root)
    (root / "satellite" / "layout.yaml").unlink()
    result = CliRunner().invoke(app, ["verify", str(root), "--report", str(path), "--json"])
    assert result.exit_code == 1 and json.loads(path.read_text()) == json.loads(result.stdout)
    assert json.loads(result.stdout)["kinds"]["map"] == 1 and [p.name for p in path.parent.iterdir()] == ["verify.json"]
    assert CliRunner().invoke(app, ["verify", str(root), "--report", str(tmp_path)]).exit_code == 1


def test_interrupted_it_leaves_no_report(root, tmp_path, monkeypatch):
    from justzoomin.apps.data import app

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    path = tmp_path / "verify.json"
    path.write_text("old")
    monkeypatch.setattr("justzoomin.checks.verify.decode_photo", interrupt)
    assert CliRunner().invoke(app, ["verify", str(root), "--report", str(path)]).exit_code != 0
    assert path.read_text() == "old" and not list(tmp_path.glob(".*part"))
