"""`jzi grid`."""

import json

from typer.testing import CliRunner

from justzoomin.apps.grid import app
from justzoomin.geometry import Region, ZoomGrid, save_grid


def run(*words):
    return CliRunner().invoke(app, list(words))


def test_encode_prints_the_published_sequence():
    result = run("encode", "38.908513", "-76.940898")
    assert result.exit_code == 0 and result.stdout == "7,6,6,5\n"
    values = json.loads(run("encode", "38.908513", "-76.940898", "--json").stdout)
    assert values["sequence"] == [7, 6, 6, 5] and values["cell_size_m"] == 39.0625


def test_decode_prints_centre_size_and_corners():
    values = json.loads(run("decode", "7,6,6,5", "--json").stdout)
    assert values["size_m"] == 39.0625 and set(values["corners"]) == {"north_west", "north_east", "south_east", "south_west"}
    assert run("encode", str(values["lat"]), str(values["lon"])).stdout == "7,6,6,5\n"
    text = run("decode", "7,6,6,5").stdout
    assert "centre" in text and "39.0625 m" in text and "south west" in text


def test_another_region(tmp_path):
    path = save_grid(ZoomGrid(Region(-33.0, 151.0, (0, 900), (0, 900)), 3, 2), tmp_path / "sydney.yaml")
    centre = json.loads(run("decode", "4,4", "--region", str(path), "--json").stdout)
    assert centre["size_m"] == 100.0
    assert run("encode", str(centre["lat"]), str(centre["lon"]), "--region", str(path)).stdout == "4,4\n"
    assert run("encode", "-33.0", "-151.0", "--region", str(path)).exit_code != 0
