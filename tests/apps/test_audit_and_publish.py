"""`jzi data audit` and `jzi data publish-check`."""

import shutil
from pathlib import Path

import polars as pl
from PIL import Image
from running import Jzi


def test_audit(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    figure = tmp_path / "pictures" / "audit.png"
    ran = jzi("data", "audit", repository, "--figure", figure, "--photos")
    assert (ran.code, ran.err) == (0, "")
    assert "5 photos of val against 8 of train" in ran.out
    assert "equal files in both splits: 0 pairs" in ran.out
    assert "nearly equal pictures in both splits: " in ran.out
    assert ran.out.endswith(f"figure: {figure}\n")
    assert min(Image.open(figure).size) > 800
    values = jzi("data", "audit", repository, "--json").json
    assert (values["train_photos"], values["val_photos"], values["figure"]) == (8, 5, None)
    assert values["galleries"][0]["cells"] == 256
    assert [cell["level"] for cell in values["cells"]] == [1, 2]
    for sentence in values["meaning"]:
        assert sentence in ran.out.splitlines() or sentence.startswith("1 of")


def test_audit_of_named_splits(jzi: Jzi, repository: Path) -> None:
    turned = jzi("data", "audit", repository, "--train", "val", "--val", "train", "--no-files", "--json").json
    assert (turned["train_photos"], turned["val_photos"], turned["same_bytes"]) == (5, 8, None)


def test_audit_refusals(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    assert "Existing splits: train, val" in jzi("data", "audit", repository, "--train", "north").refusal()
    assert "Name two splits" in jzi("data", "audit", repository, "--train", "val").refusal()
    assert ".png" in jzi("data", "audit", repository, "--figure", tmp_path / "x.doc").refusal()


def test_publish_check(jzi: Jzi, repository: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(repository, tmp_path / "town"))
    ran = jzi("data", "publish-check", root)
    assert (ran.code, ran.err) == (1, "")
    assert "unsettled           photo_licence: neither a table nor the README states a licence" in ran.out
    assert "faces_and_plates: justzoomin blurs nothing" in ran.out
    assert ran.out.splitlines()[-1].startswith("5 unsettled, ")
    values = jzi("data", "publish-check", root, "--json")
    assert (values.code, values.json["ok"], values.json["counts"]["unsettled"]) == (1, False, 5)
    ids = [i for split in ("train", "val")
           for i in pl.read_csv(root / "metadata" / f"large_area_{split}_map.csv", infer_schema=False)["image_id"].to_list()]
    (root / "streetview").mkdir()
    table = pl.DataFrame({"image_id": ids})
    table.with_columns(license=pl.lit("CC0"), attribution=pl.lit("A survey"), anonymized=pl.lit(True)).write_csv(
        root / "streetview" / "metadata.csv")
    (root / "README.md").write_text("---\nlicense: cc0-1.0\n---\nA town.\n")
    (root / "ATTRIBUTION").write_text("A survey office.")
    settled = jzi("data", "publish-check", root)
    assert (settled.code, settled.err) == (0, "")
    assert settled.out.splitlines()[-1].startswith("0 unsettled, ")
    assert jzi("data", "publish-check", root, "--sample", 3, "--json").json["ok"] is True
    assert jzi("data", "publish-check", root, "--all-photos").code == 0
