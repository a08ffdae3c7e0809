"""Videos as sources of photos: frames by their times."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import fakes
from justzoomin.data import decode_photo
from justzoomin.drives import TimedPhoto, VideoDrive, VideoOptions, is_video
from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.photos.readers import video_clock

av = pytest.importorskip("av", reason="videos are read with the extra 'video'")
START = datetime(2024, 5, 1, 10, 0, 3, tzinfo=UTC)


def film(path: Path, count: int = 30, rate: int = 10, created: str | None = None) -> Path:
    """Frames whose grey is 8 k; every third time between two frames is twice as long."""
    with av.open(str(path), "w") as container:
        if created:
            container.metadata["creation_time"] = created
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, rate)
        for k in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * k, np.uint8), format="rgb24")
            frame.pts = k + k // 3
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def frames(path: Path, options: VideoOptions) -> list[TimedPhoto]:
    source = VideoDrive(path, options)
    found = [one for one in source.photos() if isinstance(one, TimedPhoto)]
    assert len(found) <= source.most
    return found


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
def test_frames_have_their_own_times(ending: str, tmp_path: Path) -> None:
    path = film(tmp_path / f"a{ending}")
    assert is_video(path)
    found = frames(path, VideoOptions(0.0, ((0.0, START),)))
    shown = [decode_photo(one.photo, "x").mean() for one in found]  # type: ignore[arg-type]
    assert len(found) == 30 and shown == sorted(shown) and max(shown) - min(shown) > 200
    for k, one in enumerate(found):
        assert (one.when.time - START).total_seconds() == pytest.approx((k + k // 3) / 10, abs=2e-3)
        assert one.when.known_zone and str(one.when.path) == f"{path}:{k + 1}"


def test_thinned_frames_keep_their_distance(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    every = frames(path, VideoOptions(0.0, ((0.0, START),)))
    thin = frames(path, VideoOptions(0.5, ((0.0, START),)))
    times = [one.when.time for one in thin]
    assert all((b - a).total_seconds() >= 0.45 for a, b in pairwise(times))
    assert len(thin) >= 7 and {one.photo for one in thin} <= {one.photo for one in every}


def test_where_the_times_come_from(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", created="2024-05-01T10:00:03.000000Z")
    assert frames(path, VideoOptions())[0].when.time == START
    unknown = film(tmp_path / "b.mp4")
    source = VideoDrive(unknown, VideoOptions())
    assert not frames(unknown, VideoOptions())[0].when.known_zone and "--times" in source.remarks[0]
    (tmp_path / "c.csv").write_text("seconds,time\n1,2024-05-01T10:00:10Z\n3,2024-05-01T10:00:30Z\n")
    clock, known = video_clock(tmp_path / "c.csv")
    stretched = VideoOptions(1.0, clock, known)
    for seconds in (0.0, 1.0, 2.5, 4.0):  # ten times as slow as the video
        assert stretched.time(seconds) == datetime(2024, 5, 1, 10, tzinfo=UTC) + timedelta(seconds=10 * seconds)
    (tmp_path / "c.gpx").write_text(
        '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="x"><trk><trkseg>' + "".join(
            f'<trkpt lat="54.5" lon="3.{k}"><time>2024-05-01T10:00:{3 + k:02d}Z</time></trkpt>' for k in range(3)) +
        "</trkseg></trk></gpx>")
    assert video_clock(tmp_path / "c.gpx") == (((0.0, START),), True)
    for text, words in (("a,b\n1,2\n", "not the expected ones"), ("seconds,time\nx,y\n", "cannot be read"),
                        ("seconds,time\n0,2024-05-01T10:00:00Z\n1,2024-05-01T10:00:01\n", "only some")):
        (tmp_path / "d.csv").write_text(text)
        with pytest.raises(DataError, match=words):
            video_clock(tmp_path / "d.csv")
    with pytest.raises(ConfigError, match="does not come after"):
        VideoOptions(1.0, ((1.0, START), (1.0, START)))
    with pytest.raises(ConfigError, match="--every"):
        VideoOptions(-1.0)


def test_what_is_not_a_video_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    film(secret)
    for name, content in (("a.mp4", b""), ("b.mp4", b"no video" * 99), ("c.jpg.mp4", fakes.encoded(fakes.picture(64, 48))),
                          ("list.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n".encode()),
                          ("concat.mp4", f"ffconcat version 1.0\nfile '{secret}'\n".encode())):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=str(tmp_path / name)):
            VideoDrive(tmp_path / name, VideoOptions())
    with pytest.raises(DataError, match="cannot be read"):
        VideoDrive(tmp_path, VideoOptions())


def test_broken_videos_give_frames_or_errors(tmp_path: Path) -> None:
    data, rng, path = film(tmp_path / "a.mkv").read_bytes(), random.Random(5), tmp_path / "broken.mkv"
    for _ in range(30):
        changed = bytearray(data[:rng.randrange(len(data) // 2, len(data))])
        for _ in range(8):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(changed)
        try:
            found = list(VideoDrive(path, VideoOptions(0.0)).photos())
        except JustZoomInError as error:
            assert str(error.where).startswith(str(path))
        else:
            assert all(isinstance(one, TimedPhoto | JustZoomInError) for one in found)
