"""A town without photos, and a walk through it."""

import shutil
from pathlib import Path

import pytest
from walks import record

import fakes
from justzoomin.photos.readers import PhotoRecord


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map without photos."""
    root = fakes.make_repository(tmp_path_factory.mktemp("import") / "town", train=1, val=1, pixels=32, photo_shards=1)
    shutil.rmtree(root / "metadata")
    (root / "archives" / "streetview_images_000.tar").unlink()
    (root / "ATTRIBUTION").write_text("Quilt Survey, CC BY 4.0.\n")
    return root


@pytest.fixture
def walk(tmp_path: Path) -> list[PhotoRecord]:
    """Sixteen photos in a line."""
    return [record(tmp_path / "walk", k, bearing_deg=10.0 * k, extra={"device": "phone", "altitude_m": 3.5 + k})
            for k in range(16)]
