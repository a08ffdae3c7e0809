"""The name `demo` for the packaged model and for the demo's town, and what the demo leaves to try."""

import csv
import io
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Jzi

from fakes import grid_of, make_repository, tiny_model
from justzoomin.apps.shared.demo_names import is_packaged, map_named, model_named, packaged_model, refuse_packaged
from justzoomin.apps.shared.demo_photos import SPEED, leave_drive, leave_photos, with_focal_length
from justzoomin.city import CityConfig, build_city
from justzoomin.data import Dataset, drives_of, open_dataset
from justzoomin.data.cameras import known_camera
from justzoomin.errors import ConfigError
from justzoomin.geometry import haversine_m


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    pytest.importorskip("embreex", reason="the synthetic city needs the extra 'synth'")
    config = CityConfig(seed=7, size_m=90.0, photos=1, val_photos=34, photo_width=48, photo_height=32, gsd_m=0.5, depth=2,
                        workers=1)
    return open_dataset(build_city(tmp_path_factory.mktemp("left") / "town", config))


def test_demo_is_the_packaged_model_unless_a_folder_holds_a_model_of_that_name(tmp_path: Path,
                                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_named("demo") == str(packaged_model())
    assert (model_named("other"), model_named("./demo")) == ("other", "./demo")
    Path("demo").mkdir()  # what jzi demo leaves is no model
    assert model_named("demo") == str(packaged_model())
    tiny_model().save_pretrained("demo")
    assert model_named("demo") == "demo"


def test_demo_is_the_town_of_the_demo_unless_a_folder_holds_a_map_of_that_name(tmp_path: Path,
                                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        map_named("demo")
    assert str(refused.value) == ("--map demo: there is no folder demo/town here. "
                                  "Run jzi demo (or make demo), or name a map.")
    assert map_named("other") == "other"
    (tmp_path / "demo" / "town").mkdir(parents=True)
    assert map_named("demo") == str(Path("demo") / "town")
    (tmp_path / "demo" / "layout.yaml").write_text("")
    assert map_named("demo") == "demo"


def test_nothing_is_written_into_the_packaged_models_folder(jzi: Jzi, repository: Path, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, by its path or through a link; a file elsewhere may be named."""
    monkeypatch.chdir(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(packaged_model(), target_is_directory=True)
    before = {path.name: path.stat().st_mtime_ns for path in packaged_model().iterdir()}
    for model in ("demo", packaged_model(), link):
        for words in (("calibrate", model, "--data", repository, "--split", "train"), ("export", model)):
            refusal = jzi(*words).refusal()
            assert "this is the packaged model; nothing is written into this folder. Name a file with --out" in refusal
    assert {path.name: path.stat().st_mtime_ns for path in packaged_model().iterdir()} == before
    refuse_packaged(tmp_path, "--out")
    assert not is_packaged(tmp_path)


def test_photos_and_map_of_the_demo_need_no_names(jzi: Jzi, photos: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no folder demo/town here" in jzi("localize", photos / "b.jpg").refusal()
    tiny_model().save_pretrained("demo")
    make_repository(tmp_path / "demo" / "town", train=2, val=2, pixels=32)
    ran = jzi("localize", photos / "b.jpg")
    assert (ran.code, ran.out.splitlines()[0]) == (0, str(photos / "b.jpg"))


def test_photos_to_try_are_of_different_drives_with_their_focal_length(town: Dataset, tmp_path: Path) -> None:
    left = leave_photos(town, tmp_path / "photos")
    ids, drives = town.split("val").image_ids, drives_of(town, "val")
    assert drives is not None
    wanted = min(3, len(set(drives)))
    assert len(left) == len({drives[ids.index(path.stem)] for path in left}) == wanted >= 2
    cameras = town.cameras(ids)
    assert all(path.read_bytes() == with_focal_length(town.photos.read(path.stem), cameras[path.stem].fov_deg or 0.0)
               for path in left)
    assert len(leave_photos(town, tmp_path / "few", 1)) == 1


@pytest.mark.parametrize("fov", [50.0, 75.9, 110.0])
def test_photos_to_try_state_their_field_of_view(fov: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192 * 96 * 3, dtype=np.uint8).reshape(96, 192, 3)).save(buffer, "JPEG")
    told = with_focal_length(buffer.getvalue(), fov)
    camera = known_camera(told)
    assert camera.fov_deg == pytest.approx(fov, abs=1e-3) and camera.source == "EXIF FocalLength and FocalPlaneXResolution"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(told))), np.asarray(Image.open(buffer)))


def test_a_drive_to_try_has_times_that_its_speed_allows(town: Dataset, tmp_path: Path) -> None:
    times = leave_drive(town, tmp_path / "drive")
    with times.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    split, drives = town.split("val"), drives_of(town, "val")
    assert drives is not None
    places = [split.image_ids.index(row["photo"].removesuffix(".jpg")) for row in rows]
    assert {drives[k] for k in places} == {drives[0]} and 2 <= len(rows) <= 16
    assert {path.name for path in times.parent.iterdir()} == {"times.csv", *(row["photo"] for row in rows)}
    assert all(re.fullmatch(r"[\dT:-]+Z", row["time"]) for row in rows)
    moments = [datetime.fromisoformat(row["time"]).timestamp() for row in rows]
    for (a, b), (start, end) in zip(pairwise(places), pairwise(moments), strict=True):
        way = float(haversine_m(split.lat[a], split.lon[a], split.lat[b], split.lon[b]))
        assert end - start >= 1 and way <= SPEED * (end - start)


def test_the_drive_is_tracked_as_it_is(jzi: Jzi, town: Dataset, tmp_path: Path) -> None:
    times = leave_drive(town, tmp_path / "drive", 3)
    model = tiny_model().save_pretrained(tmp_path / "model", grid_of(town.root))
    ran = jzi("track", times.parent, "--times", times, "--model", model, "--map", town.root, "--gpx", tmp_path / "track.gpx")
    assert ran.code == 0, ran.err
    assert (tmp_path / "track.gpx").read_text().count("<trkpt") == 3


def test_what_no_demo_left_stays(town: Dataset, tmp_path: Path) -> None:
    """With --out . the folders photos/ and drive/ may be somebody's own."""
    mine = tmp_path / "drive" / "mine.jpg"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    times = leave_drive(town, tmp_path / "drive")
    assert leave_drive(town, tmp_path / "drive") == times and mine.read_bytes() == b"mine"
    times.write_text("photo,time\nmine.jpg,2024-05-01T10:00:00Z\n")
    with pytest.raises(ConfigError, match="not written by a demo"):
        leave_drive(town, tmp_path / "drive")
    assert "mine.jpg" in times.read_text()


def test_a_file_of_settings_may_name_the_model_to_start_from(tmp_path: Path) -> None:
    from justzoomin.apps.train import _chosen

    file = tmp_path / "settings.yaml"
    file.write_text("init: some/model\n")
    assert _chosen("finetune", None, file, []) == ("finetune", ())
    preset, words = _chosen("finetune", None, None, [])
    assert preset == "finetune" and words[0].startswith("init=") and words[0].endswith("demo-model")
