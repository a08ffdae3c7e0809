"""`jzi map` for people and for programs."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from justzoomin.apps.map import app
from justzoomin.errors import ConfigError
from justzoomin.maps import Map
from map_builders import UTM_PLACE


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False).output


def test_info(repository):
    assert "fingerprint" in run("info", repository)
    values = json.loads(run("info", repository, "--json"))
    assert values["source"] == "shards" and values["fingerprint"] == Map.open(repository).fingerprint()


def test_view(repository, tmp_path):
    place = ("--lat", UTM_PLACE[0], "--lon", UTM_PLACE[1], "--size-m", 40, "--pixels", 80, "--bearing-deg", -30)
    target = tmp_path / "v.png"
    assert "no data: 0.00%" in run("view", repository, *place, "--out", target)
    assert np.array_equal(np.asarray(Image.open(target)), Map.open(repository).view(*UTM_PLACE, 40, 80, -30).pixels)
    assert json.loads(run("view", repository, *place, "--out", target, "--json"))["no_data"] == 0.0
    assert not list(tmp_path.glob(".*.part"))
    for wrong in (tmp_path / "v.jpg", tmp_path / "none" / "v.png"):
        with pytest.raises(ConfigError, match="--out"):
            run("view", repository, *place, "--out", wrong)
