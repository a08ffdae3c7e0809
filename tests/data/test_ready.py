"""Ready photos are the photos at the model's size: exactly where nothing is cropped, and never those of another file."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import fakes
from justzoomin.apps import main as apps_main
from justzoomin.data import Frame, ReadyKind, ReadyPhotos, find_ready, make_ready, open_dataset, ready_plan, readying
from justzoomin.data.ready import ENTRIES, ENTRY, HEAD, PICTURES
from justzoomin.errors import DataError

KIND = ReadyKind("train", 32, "scaled")


@pytest.fixture
def town(tmp_path):
    return open_dataset(fakes.make_repository(tmp_path / "town", extracted=True, photo_size=(320, 180)))


def made(dataset, out, kind=KIND):
    ids = dataset.split(kind.split).image_ids
    return ReadyPhotos(make_ready(dataset.photos, ids, kind, out, workers=1), kind, ids)


def samples(dataset, ready, crop_scale=None, decode="scaled"):
    plain, other = (dataset.torch_dataset("train", 32, decode=decode, crop_scale=crop_scale, seed=3) for _ in range(2))
    other.ready = ready
    return plain, other


@pytest.mark.parametrize("decode", ["scaled", "full", "quick"])
def test_whole_photos_are_exact(town, tmp_path, decode):
    plain, other = samples(town, made(town, tmp_path / "ready", ReadyKind("train", 32, decode)), decode=decode)
    for row in range(len(plain)):
        assert np.array_equal(plain[row]["wide"], other[row]["wide"])
    assert np.array_equal(pickle.loads(pickle.dumps(other))[2]["wide"], plain[2]["wide"])


def test_crops_show_the_same_part(town, tmp_path):
    ready = made(town, tmp_path / "ready", ReadyKind("train", 32, "scaled", 0.5))
    plain, other = samples(town, ready, (0.5, 1.0))
    away = []
    for row in range(len(plain)):
        height, width = ready.picture(row).shape[:2]
        assert height >= 32 and width >= 64
        one, two = (s[row, 1]["wide"].float() for s in (plain, other))
        away.append([(one - two).abs().mean().item(), (one - plain[row, 2]["wide"].float()).abs().mean().item()])
    near, far = np.mean(away, 0)
    assert near < 6 and near < 0.6 * far


def test_photos_in_a_frame_are_exact_and_never_mixed_with_others(town, tmp_path):
    ids, frame = town.split("train").image_ids, Frame("crop", 75.0)
    (town.root / "streetview" / "metadata.csv").write_text("image_id,hfov_deg\n" + f"{ids[1]},50\n")
    kind = replace(KIND, frame=frame, cameras=town.cameras(ids))
    ready, squeezed = made(town, tmp_path / "ready", kind), made(town, tmp_path / "ready")
    plain, other = (town.torch_dataset("train", 32, frame=frame) for _ in range(2))
    other.ready = ready
    for row in range(3):
        assert np.array_equal(plain[row]["wide"], other[row]["wide"])
    assert not np.array_equal(ready.picture(1), squeezed.picture(1)) and ready.folder != squeezed.folder
    head = json.loads((squeezed.folder / HEAD).read_text())  # as before frames
    assert set(head) == {"format", "split", "pixels", "decode", "least_crop", "encoding", "photos", "ids"}
    assert "--photo-fit crop --frame-fov 75" in kind.command(town.root, tmp_path)
    for changed in (replace(kind, cameras={}), *(replace(kind, frame=Frame(*f)) for f in (("crop", 80.0), ("fit", 75.0)))):
        with pytest.raises(DataError, match="ready photos"):
            find_ready(tmp_path / "ready", changed, town.photos, ids, town.root)


def test_jpegs_are_smaller_and_near(town, tmp_path):
    raw, jpeg = (made(town, tmp_path / "ready", ReadyKind("train", 32, "scaled", None, kind)) for kind in ("raw", "jpeg"))
    assert (jpeg.folder / PICTURES).stat().st_size < (raw.folder / PICTURES).stat().st_size
    assert all(np.abs(raw.picture(row).astype(int) - jpeg.picture(row)).mean() < 4 for row in range(len(raw)))


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_an_interrupted_job_goes_on_and_ends_the_same(town, tmp_path, after, monkeypatch):
    whole = made(town, tmp_path / "whole")
    ids, calls, real = town.split("train").image_ids, [], readying._ready

    def stop(done, total):
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_ready(town.photos, ids, KIND, tmp_path / "cut", workers=1, progress=stop)
    assert not (tmp_path / "cut" / KIND.folder).exists()
    part = tmp_path / "cut" / (KIND.folder + ".part")
    with (part / ENTRIES).open("ab") as file:
        file.write(b"torn")
    with (part / PICTURES).open("ab") as file:
        file.write(b"torn as well")
    monkeypatch.setattr(readying, "_ready", lambda *a: calls.append(a[2]) or real(*a))
    monkeypatch.setattr(readying, "_SAMPLE", 1)
    again = made(town, tmp_path / "cut")
    assert len(calls) == 1 + len(ids) - (after + 1)
    for name in (HEAD, ENTRIES, PICTURES):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_changed_photo_is_noticed_and_made_anew(town, tmp_path):
    ids = town.split("train").image_ids
    before = made(town, tmp_path / "ready")
    old, stamp = before.picture(4).copy(), (before.folder / PICTURES).stat().st_mtime_ns
    assert (made(town, tmp_path / "ready").folder / PICTURES).stat().st_mtime_ns == stamp  # nothing was done again
    photo = town.root / "streetview" / "images" / f"{ids[4]}{fakes.SUFFIX}"
    photo.write_bytes(fakes.encoded(fakes.picture(320, 180, 9)))
    with pytest.raises(DataError, match=ids[4]):
        find_ready(tmp_path / "ready", KIND, town.photos, ids, town.root)
    after = made(town, tmp_path / "ready")
    assert not np.array_equal(after.picture(4), old)
    find_ready(tmp_path / "ready", KIND, town.photos, ids, town.root)


def damage_head(folder):
    (folder / HEAD).write_text(json.dumps({**json.loads((folder / HEAD).read_text()), "pixels": 33}))


def damage_entries(folder):
    (folder / ENTRIES).write_bytes((folder / ENTRIES).read_bytes()[:-8])


def damage_offsets(folder):
    entries = np.fromfile(folder / ENTRIES, ENTRY)
    entries["offset"][3] = 2**63
    entries.tofile(folder / ENTRIES)


def damage_sides(folder):
    entries = np.fromfile(folder / ENTRIES, ENTRY)
    entries["height"][3] = 2**31
    entries.tofile(folder / ENTRIES)


def damage_pictures(folder):
    content = bytearray((folder / PICTURES).read_bytes())
    content[100] ^= 1
    (folder / PICTURES).write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [damage_head, damage_entries, damage_offsets, damage_sides, damage_pictures])
@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_damage_is_refused(town, tmp_path, damage, encoding):
    kind = ReadyKind("train", 32, "scaled", None, encoding)
    folder = made(town, tmp_path / "ready", kind).folder
    damage(folder)
    with pytest.raises(DataError, match="ready"):
        ReadyPhotos(folder, kind, town.split("train").image_ids).picture(0)


def test_too_little_disk_is_refused_before_anything_is_written(town, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    ids = town.split("train").image_ids
    assert ready_plan(town.photos, ids, KIND, tmp_path / "ready").bytes == len(ids) * (32 * 64 * 3 + ENTRY.itemsize)
    with pytest.raises(DataError, match="free"):
        make_ready(town.photos, ids, KIND, tmp_path / "ready")
    assert not (tmp_path / "ready" / KIND.folder).exists()


def test_what_is_missing_is_named_with_the_command_that_makes_it(town, tmp_path):
    ids = town.split("train").image_ids
    with pytest.raises(DataError, match=r"jzi data ready .* --pixels 32 --decode scaled --least-crop 0\.7") as caught:
        find_ready(tmp_path, ReadyKind("train", 32, "scaled", 0.7), town.photos, ids, town.root)
    words = str(caught.value).partition("Make them with: jzi ")[2].removesuffix(".").split()
    result = CliRunner().invoke(apps_main.app, words)
    assert result.exit_code == 0, result.output
    assert len(find_ready(tmp_path, ReadyKind("train", 32, "scaled", 0.7), town.photos, ids, town.root)) == len(ids)
