"""The command line, run in this process as the shell would run it, and small things to run it on."""

from __future__ import annotations

import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from running import Jzi, Ran

import fakes
from justzoomin.apps.main import main


@pytest.fixture
def jzi(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Jzi:
    """Run `jzi` with words as from a shell, 80 columns wide, off the network."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*words: object) -> Ran:
        capsys.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
            warnings.simplefilter("always")
            main([str(word) for word in words])
        got = capsys.readouterr()
        return Ran(int(stop.value.code or 0), got.out, got.err)

    return run


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of depth 2: eight photos to train on, five to validate."""
    return fakes.make_repository(tmp_path_factory.mktemp("apps") / "repository", train=8, val=5, pixels=32)


@pytest.fixture
def credited(repository: Path, tmp_path: Path) -> Path:
    """The same dataset with a file that says whom to name."""
    root = Path(shutil.copytree(repository, tmp_path / "credited"))
    (root / "ATTRIBUTION").write_text("Survey of \u00c5s & Bj\u00f6rk, CC BY 4.0\n")
    return root


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset in which everything that can be wrong is."""
    return fakes.make_repository(tmp_path_factory.mktemp("apps") / "broken", train=2, val=8, pixels=32, breaks=fakes.BREAKS)


@pytest.fixture(scope="session")
def model(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, fresh from a seed, said to be trained on the repository's region."""
    return fakes.tiny_model().save_pretrained(tmp_path_factory.mktemp("apps") / "model", fakes.grid_of(repository))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two photos."""
    folder = tmp_path_factory.mktemp("apps") / "photos"
    folder.mkdir()
    (folder / "b.jpg").write_bytes(fakes.encoded(fakes.picture(160, 90, 1)))
    (folder / "a.PNG").write_bytes(fakes.encoded(fakes.picture(120, 90, 2), "PNG"))
    return folder


@pytest.fixture(scope="session")
def walk(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with positions on the repository's map."""
    folder = tmp_path_factory.mktemp("apps") / "walk"
    folder.mkdir()
    for number in range(10):
        photo = fakes.with_exif(fakes.picture(160, 90, number), gps=(54.5 + 0.0002 * (number - 5), 3.0 + 0.0003 * (number - 5)))
        (folder / f"p{number}.jpg").write_bytes(photo)
    return folder


@pytest.fixture(scope="session")
def raster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small orthophoto."""
    rasterio = pytest.importorskip("rasterio", reason="maps are built with the extra 'imagery'")
    from affine import Affine

    path = tmp_path_factory.mktemp("apps") / "ortho.tif"
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=3, width=300, height=300, crs="epsg:32631",
                       transform=Affine(0.5, 0, 500_000, 0, -0.5, 6_039_000)) as file:
        file.write(np.random.default_rng(0).integers(1, 255, (3, 300, 300), np.uint8))
    return path


@pytest.fixture(scope="session")
def unusable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that end like photos and are none that can be used."""
    folder = tmp_path_factory.mktemp("apps") / "unusable"
    folder.mkdir()
    whole = fakes.encoded(fakes.picture(160, 90))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no photo")
    (folder / "truncated.jpg").write_bytes(whole[:len(whole) // 2])
    (folder / "one.png").write_bytes(fakes.encoded(fakes.picture(1, 1), "PNG"))
    (folder / "wide.png").write_bytes(_png_header(12_000, 12_000))
    (folder / "huge.png").write_bytes(_png_header(100_000, 100_000))
    return folder


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
