import json

import pytest
from typer.testing import CliRunner

from justzoomin.apps.model import app
from justzoomin.geometry import preset


@pytest.fixture
def saved(tiny_model, tmp_path):
    return tiny_model.save_pretrained(tmp_path / "model", preset("dc"), {"command": "a test"})


def test_info_for_people(saved, tiny_model):
    result = CliRunner().invoke(app, ["info", str(saved)], catch_exceptions=False)
    assert result.exit_code == 0
    for words in ("4 x 4, depth 4", "cells of 39.0625 m", "a test", tiny_model.fingerprint(), "convnext"):
        assert words in result.output


def test_info_for_programs(saved, tiny_model):
    facts = json.loads(CliRunner().invoke(app, ["info", str(saved), "--json"], catch_exceptions=False).output)
    assert facts["weights"] == sum(p.numel() for p in tiny_model.parameters())
    assert facts["trained_on"]["east_m"] == [-3000, 7000]
    assert facts["fingerprint"] == tiny_model.fingerprint()


def test_info_of_another_family_names_it(tmp_path):
    from justzoomin.models import build_model, model_preset

    model = build_model(model_preset("hierarchical"))
    folder = model.save_pretrained(tmp_path / "model")
    facts = json.loads(CliRunner().invoke(app, ["info", str(folder), "--json"], catch_exceptions=False).output)
    assert (facts["family"], facts["decoder_blocks"]) == ("hierarchical", None)
    assert facts["fingerprint"] == model.fingerprint()
    assert "hierarchical" in CliRunner().invoke(app, ["info", str(folder)], catch_exceptions=False).output
