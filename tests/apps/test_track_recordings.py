"""`jzi track` on bags and videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from running import Jzi

import bag_making as making


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return making.drive(tmp_path_factory.mktemp("bags") / "drive", info=True)


def fixes(path: Path) -> list[object]:
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [message for _, _, _, message in reader.iter_decoded_messages(["/justzoomin/fix"])]


def test_a_bag_becomes_a_track_and_a_bag_of_fixes(jzi: Jzi, bag: Path, model: Path, repository: Path, tmp_path: Path) -> None:
    use = ("--model", model, "--map", repository, "--image-topic", making.IMAGES, "--json")
    ran = jzi("track", bag, *use, "--odom-topic", making.ODOM, "--imu-topic", making.IMU, "--out", tmp_path / "f.mcap",
              "--gpx", tmp_path / "f.gpx", "--altitude", "33", "--copy")
    assert ran.code == 0, ran.err
    assert [row["photo"] for row in ran.json] == [f"{making.IMAGES}:{k}" for k in range(1, 7)]
    assert ran.json[0]["time"] == "2024-05-01T10:00:00+00:00" and b"<time>" in (tmp_path / "f.gpx").read_bytes()
    found = fixes(tmp_path / "f.mcap")
    assert [(fix.latitude, fix.longitude, fix.altitude) for fix in found] == [  # type: ignore[attr-defined]
        (row["lat"], row["lon"], 33.0) for row in ran.json]
    assert "turns and headings are not used" in ran.err
    thin = jzi("track", making.file_of(bag), *use, "--every", "2", "--forward")
    assert [row["photo"] for row in thin.json] == [f"{making.IMAGES}:{k}" for k in (1, 3, 5)]


def test_options_that_do_not_fit_the_drive(jzi: Jzi, bag: Path, photos: Path, model: Path, repository: Path,
                                           tmp_path: Path) -> None:
    use = ("--model", model, "--map", repository)
    assert f"Its topics: {making.IMAGES}" in jzi("track", bag, *use).refusal()
    photos_of = ("--image-topic", making.IMAGES)
    assert "--imu-topic: it has no topic /x" in jzi("track", bag, *use, *photos_of, "--imu-topic", "/x").refusal()
    assert "--odom-topic: it is for bags" in jzi("track", photos, *use, "--odom-topic", "/odom").refusal()
    assert "a drive of its own" in jzi("track", bag, photos, *use).refusal()
    assert "--times" in jzi("track", bag, *use, "--times", tmp_path / "t.csv", "--image-topic", making.IMAGES).refusal()
    assert "unsupported file extension" in jzi("track", bag, *use, "--image-topic", making.IMAGES, "--out",
                                               tmp_path / "a.db3").refusal()
    (tmp_path / "cut.mcap").write_bytes(making.file_of(bag).read_bytes()[:3000])
    broken = jzi("track", tmp_path / "cut.mcap", *use, "--image-topic", making.IMAGES).refusal()
    assert "cut.mcap: the bag is broken or incomplete" in broken and "mcap recover" in broken


def test_a_video_becomes_a_track(jzi: Jzi, model: Path, repository: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="videos are read with the extra 'video'")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for k in range(16):
            picture = np.random.default_rng(k).integers(0, 255, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    (tmp_path / "t.csv").write_text("seconds,time\n0,2024-05-01T10:00:00Z\n")
    use = ("track", tmp_path / "a.mp4", "--model", model, "--map", repository, "--json")
    ran = jzi(*use, "--times", tmp_path / "t.csv", "--out", tmp_path / "f.mcap")
    assert ran.code == 0, ran.err
    assert [row["time"][17:19] for row in ran.json] == ["00", "01", "02", "03"]
    assert len(fixes(tmp_path / "f.mcap")) == 4
    assert "it is for bags" in jzi(*use, "--recorded").refusal()
    assert "does not say when it was made" in jzi(*use, "--every", "2").err
