"""Lists of photos with headings: columns, what is unknown, and errors that name row and column."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fakes
from justzoomin.errors import DataError
from justzoomin.photos.readers import photos_of_mapillary, read_photo_list


def listed(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text)
    return path


def test_a_list_states_headings(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(fakes.encoded(fakes.picture(32, 18, 0)))
    a, b, c = read_photo_list(listed(tmp_path, "Photo,Heading,heading_sigma,compass_angle,note\na.jpg,-90,15,,x\n"
                                               "sub/b.jpg,,,12.5,y\nc.jpg,-1,,,\n"))
    assert (a.path, a.heading_deg, a.sigma_deg, a.compass_deg) == (tmp_path / "a.jpg", 270.0, 15.0, None)
    assert (b.path, b.heading_deg, b.compass_deg) == (tmp_path / "sub" / "b.jpg", None, 12.5)
    assert (c.heading_deg, c.compass_deg) == (None, None)
    (d,) = read_photo_list(listed(tmp_path, "file;compass_angle;computed_compass_angle\nd.jpg;10;20\n"))
    assert d.compass_deg == 20.0


@pytest.mark.parametrize(("text", "where"), [
    ("photo,heading\na.jpg,1\nb.jpg,east\n", "row 3, heading: 'east' is not a number"),
    ("photo,heading\na.jpg,400\n", "row 2, heading: 400 is not in -180 .. 360"),
    ("photo,heading,heading_sigma\na.jpg,4,0\n", "row 2, heading_sigma: 0 is not in 1 .. 180"),
    ("photo,heading,heading_sigma\na.jpg,,5\n", "row 2, heading_sigma: it is the spread of a heading that is missing"),
    ("photo,compass\na.jpg,nan\n", "row 2, compass: 'nan' is not a number"),
    ("photo,heading\n,5\n", "row 2, photo: it names no photo"),
    ("name,heading\na.jpg,5\n", "it has no column photo"), ("photo,heading\n", ""),
    ("photo,image\na.jpg,b.jpg\n", "could all be photo")])
def test_errors_name_row_and_column(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(DataError) as wrong:
        read_photo_list(listed(tmp_path, text))
    assert where in str(wrong.value)


def test_mapillary_gives_photos_and_compass_angles(tmp_path: Path) -> None:
    images = [{"id": "11", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]}, "compass_angle": 10.0,
               "computed_compass_angle": 20.0},
              {"id": "12", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]}, "compass_angle": -1.0},
              {"id": "13", "geometry": {"type": "Point", "coordinates": [3.0, 54.5]}}]
    for name in ("11", "12"):
        (tmp_path / f"{name}.jpg").write_bytes(fakes.encoded(fakes.picture(32, 18, 0)))
    (tmp_path / "images.json").write_text(json.dumps({"data": images}))
    rows, skipped = photos_of_mapillary(tmp_path / "images.json")
    assert [(row.path.name, row.compass_deg) for row in rows] == [("11.jpg", 20.0), ("12.jpg", None)]
    assert {row.heading_deg for row in rows} == {None}
    assert [one.item for one in skipped] == ["13"]
