"""The commands that write cards, publish, and make packs."""

import shutil

import pytest

import fakes
from justzoomin.packs import open_pack
from loopback_hub import serving


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path / "cache") as found:
        yield found


def refused(ran):
    """The error of a command that has first printed what it looked at."""
    assert ran.code == 1 and ran.out and ran.err.startswith("error: "), ran
    return ran.err


@pytest.fixture
def own(model, tmp_path):
    return shutil.copytree(model, tmp_path / "own")


def test_a_model_is_carded_and_pushed(jzi, hub, own):
    ran = jzi("model", "push", own, "owner/name", "--dry-run")
    assert ran.code == 0 and "unsettled           model_card: there is no README.md." in ran.out
    assert "nothing was uploaded; unsettled" in refused(jzi("model", "push", own, "owner/name"))
    assert jzi("model", "card", own, "--license", "mit", "--data-license", "mit").out == f"wrote {own / 'README.md'}\n"
    assert "--decided" in refused(jzi("model", "push", own, "owner/name"))
    assert not hub.repos
    ran = jzi("model", "push", own, "owner/name", "--decided")
    assert ran.code == 0 and f"commit {hub.repos['models/owner/name'].commits[-1][0]}: owner/name" in ran.out
    assert "MB; the largest: model.safetensors" in ran.out
    assert "fingerprint" in jzi("model", "info", "owner/name").out




def test_a_dataset_is_carded_and_published(jzi, hub, repository, tmp_path):
    root = shutil.copytree(repository, tmp_path / "town")
    assert "--license" in jzi("data", "card", root).refusal()
    ran = jzi("data", "card", root, "--license", "cc-by-4.0", "--samples", 1)
    assert ran.code == 0 and f"wrote {root / 'assets/zoom.gif'}" in ran.out
    (root / "notes.txt").write_text("mine")
    ran = jzi("data", "publish", root, "owner/town", "--dry-run")
    assert ran.code == 0 and "left out: 1 other files: notes.txt" in ran.out
    assert "settled             dataset_licence" in ran.out
    assert "nothing was uploaded; unsettled" in refused(jzi("data", "publish", root, "owner/town", "--decided"))
    assert not hub.repos


def test_a_pack_is_made_checked_and_pushed(jzi, hub, own, repository, tmp_path):
    pack, index = tmp_path / "pack", tmp_path / "index"
    assert jzi("index", own, "--data", repository, "--out", index).code == 0
    words = ("--model", own, "--map", repository, "--index", index, "--map-license", "cc-by-4.0", "--model-license", "mit")
    ran = jzi("pack", "make", pack, *words, "--dry-run")
    assert ran.code == 0 and " files, " in ran.out and not pack.exists()
    assert "licence of the map" in jzi("pack", "make", pack, "--model", own, "--map", repository, "--model-license",
                                       "mit").refusal()
    assert jzi("pack", "make", pack, *words).out.endswith(f"wrote {pack}\n")
    assert "map: cc-by-4.0" in (ran := jzi("pack", "check", pack)).out and "model, map and index belong together" in ran.out
    assert open_pack(pack).index is not None
    assert "unsettled" in refused(jzi("pack", "push", pack, "owner/pack"))
    (pack / "map" / "layout.yaml").write_text("other")
    assert "layout.yaml" in jzi("pack", "check", pack).refusal()
    assert not hub.repos


def test_a_pack_of_parts_that_do_not_belong_together_is_not_made(jzi, own, model, repository, tmp_path):
    other = fakes.tiny_model(seed=5).save_pretrained(tmp_path / "other", fakes.grid_of(repository))
    assert jzi("index", other, "--data", repository, "--out", tmp_path / "index").code == 0
    ran = jzi("pack", "make", tmp_path / "pack", "--model", own, "--map", repository, "--index", tmp_path / "index",
              "--map-license", "mit", "--model-license", "mit")
    assert "another model" in refused(ran) and not (tmp_path / "pack").exists()


def test_a_calibration_of_a_hub_model_needs_a_place(jzi, repository):
    words = jzi("calibrate", "owner/name", "--data", repository, "--split", "train").refusal()
    assert "has no folder to write its calibration into" in words and "--out" in words
