import json

import pytest
from justzoomin.apps.model_commands import app
from justzoomin.geometry import preset
from typer.testing import CliRunner


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


def test_import_says_what_it_wrote(tmp_path):
    import torch
    from test_importer import published_weights

    torch.save(published_weights(), tmp_path / "a.pth")
    arguments = ["import", str(tmp_path / "a.pth"), str(tmp_path / "m"), "--region", "dc", "--image-pixels", "12"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Wrote" in result.output
    assert "12 px, photos decoded full" in result.output
    assert (tmp_path / "m" / "region.yaml").exists()
