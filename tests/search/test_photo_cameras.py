"""What a localizer does with the cameras of photos, and with panoramas as several views of one pose."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

import fakes
from justzoomin.apps.shared.camera_options import cameras_from_option
from justzoomin.data import CameraSource, Frame, PhotoCamera, normalize, open_dataset, stated_camera
from justzoomin.errors import ConfigError, DataError, ModelError, PhotoError
from justzoomin.models import MatcherConfig, ZoomModel, model_preset
from justzoomin.photos.readers import read_photo_list
from justzoomin.search import CameraNotUsedWarning, Localizer
from justzoomin.search.cell_scorer import PoseScores
from justzoomin.search.panoramas import combined, panorama_views
from justzoomin.search.photo_loading import load_photo
from justzoomin.search.trained import shapes_trained_on

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return open_dataset(fakes.make_repository(tmp_path_factory.mktemp("cameras") / "town", pixels=32, depth=2, grid=3, train=3,
                                              val=4))


def model_with(photo_fit: str) -> ZoomModel:
    matcher = MatcherConfig(metres_per_pixel=1.0, channels=4, ranges=4, nearest_m=3.0, reach_m=20.0, headings=4, tried=8,
                            width=8, window_m=64.0, margin_m=16.0)
    config = fakes.tiny_model(grid=3).config.model_copy(update={"matcher": matcher, "photo_fit": photo_fit})
    return ZoomModel(config, pretrained=False, seed=3).eval()


def jpeg(image: np.ndarray, panorama: bool = False) -> bytes:
    xmp = b'<x xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:ProjectionType="equirectangular"/>'
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=98, subsampling=0, **({"xmp": xmp} if panorama else {}))
    return buffer.getvalue()


def scene(width: int, height: int) -> np.ndarray:
    coarse = Image.fromarray(RNG.integers(0, 255, (6, 12, 3), np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def test_the_older_way_changes_no_fingerprint():
    for preset in ("paper", "small", "best"):
        config = model_preset(preset)
        assert config.photo_fit == "squeeze" and "photo_fit" not in config.identity() and config.frame == Frame()
    best = model_preset("best")
    cropping = best.model_copy(update={"photo_fit": "crop"})
    assert cropping.identity() != best.identity() and cropping.frame == Frame("crop", 75.0)


def test_a_model_that_squeezes_says_that_a_field_of_view_is_not_used(town):
    model, photo = model_with("squeeze"), jpeg(scene(160, 90))
    plain = Localizer(model, town.map, town.grid, search="posterior").localize_posterior(photo)
    with pytest.warns(CameraNotUsedWarning, match="squeezes"):
        told = Localizer(model, town.map, town.grid, search="posterior", cameras=CameraSource(stated_camera(50.0)))
    np.testing.assert_array_equal(told.localize_posterior(photo).log_probs, plain.log_probs)
    assert told.localize(photo).camera is None


def test_a_model_that_crops_uses_the_camera_and_says_which(town, tmp_path):
    model, photo = model_with("crop"), jpeg(scene(160, 90))
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo)
    known = CameraSource(stated_camera(110.0), {str(file): PhotoCamera(50.0, 2.0, source="row 2")})
    localizer = Localizer(model, town.map, town.grid, search="posterior", cameras=known)
    assert localizer.localize(photo).camera == "field of view 110 degrees (--fov)"
    fix = localizer.localize(file)
    assert fix.camera is not None and fix.camera.startswith("field of view 50 degrees (row 2), pitch 2; ")
    assert "shows only" in str(fix.not_calibrated) and type(fix).from_dict(fix.to_dict(), town.grid) == fix
    unknown = Localizer(model, town.map, town.grid, search="posterior")
    assert unknown.localize(photo).camera == "field of view unknown" and localizer.asked() != unknown.asked()
    assert not np.array_equal(unknown.localize_posterior(photo).log_probs, localizer.localize_posterior(photo).log_probs)


def test_a_matcher_can_see_photos_otherwise_than_its_zoomer():
    alone = {fit: model_with(fit) for fit in ("squeeze", "crop")}
    config = alone["squeeze"].config
    assert config.matcher is not None
    matcher = config.matcher.model_copy(update={"photo_fit": "crop", "own_encoder": True})
    both = ZoomModel(config.model_copy(update={"matcher": matcher}), pretrained=False, seed=3).eval()
    assert both.config.frame == Frame("squeeze", 75.0, "crop") and both.config.frame.uses_cameras
    plain = matcher.model_copy(update={"photo_fit": None})
    assert both.config.identity() != both.config.model_copy(update={"matcher": plain}).identity()
    photo, camera = jpeg(scene(160, 90)), PhotoCamera(110.0)
    pairs = {}
    for name, model in (*alone.items(), ("both", both)):
        loaded = load_photo(photo, model.config, {}, camera)
        assert not isinstance(loaded, Exception)
        pairs[name] = loaded.pair
    assert loaded.camera == "field of view 110 degrees"
    assert torch.equal(pairs["both"], torch.cat([pairs["squeeze"], pairs["crop"]]))
    photos = normalize(pairs["both"][None], config.mean, config.std)
    with torch.no_grad():
        found = both.encode_photos(photos)
        assert torch.equal(found[:, :both.encoder.width], both.encoder(photos[0, :2]).mean(0, keepdim=True))
        assert torch.equal(both.fans(found), both.photo_fans(photos[:, 2:]))
    for part in (photos[:, :2], photos[:, 2:]):
        with pytest.raises(ModelError, match="2 halves, but this model needs 4"):
            both.encode_photos(part)


def test_an_unknown_camera_is_not_like_known_ones():
    config, photo, known = model_with("crop").config, jpeg(scene(160, 90)), {"hfov_deg": (60.0, 90.0)}
    for shapes, camera, unlike in ((known, None, True), ({}, None, False), (known, PhotoCamera(75.0), False)):
        loaded = load_photo(photo, config, shapes, camera)
        assert not isinstance(loaded, Exception)
        assert ("field of view is unknown" in str(loaded.unlike)) == unlike
    told, untold = {"shapes": {"aspect": [2, 2], "hfov_deg": [60, 90]}}, {"shapes": {"aspect": [1, 1]}}
    assert "hfov_deg" in shapes_trained_on({"maps": [told], "started_from": {"maps": [untold]}})
    assert "hfov_deg" not in shapes_trained_on({"maps": [told, untold]})
    assert shapes_trained_on({"maps": [untold], "started_from": {"maps": [told]}}) == {"aspect": (1.0, 2.0)}


def test_the_same_way_for_both_is_one_way():
    config = model_with("crop").config
    assert config.matcher is not None
    same = config.model_copy(update={"matcher": config.matcher.model_copy(update={"photo_fit": "crop"})})
    assert same.frame == Frame("crop", 75.0) and same.frame.parts == (same.frame,)


def test_a_list_states_fields_of_view(tmp_path):
    table = tmp_path / "photos.csv"
    table.write_text("photo,fov\na.jpg,62.5\nb.jpg,\nc.jpg,360\n")
    listed = {str(row.path): row for row in read_photo_list(table)}
    found = cameras_from_option(50.0, listed)
    assert found is not None and found.every == PhotoCamera(50.0, source="--fov") and found.of(tmp_path / "b.jpg") is None
    assert found.of(tmp_path / "a.jpg") == PhotoCamera(62.5, source="column fov")
    assert found.of(str(tmp_path / "c.jpg")) == PhotoCamera(kind="equirectangular", source="column fov")
    table.write_text("photo,fov\na.jpg,62.5\nb.jpg,190\n")
    with pytest.raises(DataError, match="row 3, fov: 190 is not between 0 and 180"):
        read_photo_list(table)


def scores(bearings: np.ndarray, cells: np.ndarray) -> PoseScores:
    whole = np.exp(bearings).sum(-1, keepdims=True)
    return PoseScores(cells, (bearings - np.log(whole)).astype(np.float32))


def test_views_combine_to_one_view_where_all_others_are_flat():
    cells, bearings = np.zeros((4, 5)), np.zeros((4, 5, 16))
    cells[2], bearings[2] = RNG.normal(size=5), RNG.normal(size=(5, 16))
    cells[1] = 7.0  # a constant says nothing
    views = scores(bearings, cells)
    one = combined(views)
    np.testing.assert_allclose(one.cells[0] - one.cells[0, 0], cells[2] - cells[2, 0], atol=1e-6)
    # The third view is turned right by half a circle: it faces bearing k where the pose faces k - 8.
    np.testing.assert_allclose(one.bearings[0], np.roll(views.bearings[2], -8, axis=1), atol=1e-5)


def test_views_that_agree_on_the_pose_add_up():
    bearings = np.full((4, 3, 16), -20.0)
    for view, yaw in enumerate((0, 4, 8, 12)):
        bearings[view, :, (5 + yaw) % 16] = 0.0  # the pose faces bearing 5 everywhere
    cells = np.tile([0.0, 1.0, 3.0], (4, 1))
    found = combined(scores(bearings, cells))
    np.testing.assert_allclose(found.cells[0] - found.cells[0, 0], [0.0, 4.0, 12.0], atol=1e-3)
    assert (found.bearings[0].argmax(1) == 5).all() and np.allclose(np.exp(found.bearings).sum(-1), 1.0, atol=1e-5)


def test_views_between_two_bearings_and_models_without_bearings_are_refused():
    with pytest.raises(ConfigError, match="yaw 30"):
        combined(scores(np.zeros((2, 3, 16)), np.zeros((2, 3))), (0.0, 30.0))
    with pytest.raises(ModelError, match="which way"):
        combined(PoseScores(np.zeros((4, 3))))


def test_turning_a_panorama_turns_its_answer(town):
    image = scene(512, 256)
    localizer = Localizer(model_with("crop"), town.map, town.grid, search="posterior")
    straight, turned = (localizer.load_photo(jpeg(i, panorama=True)) for i in (image, np.roll(image, -128, axis=1)))
    views = [view.pair.float() for view in (straight, turned)]
    for k in range(4):  # the view ahead of the turned one is the second of the other
        assert (views[1][k] - views[0][(k + 1) % 4]).abs().mean() < 2.0  # JPEG, and the seam
    fix = localizer.localize(jpeg(image, panorama=True))
    assert fix.camera == "whole panorama, 4 views of 75 degrees" and not fix.calibrated
    vectors = localizer.encode(straight.pair[None])
    assert vectors.shape[:2] == (1, 4)
    single = localizer.encode(straight.pair)
    by_hand = combined(localizer.posteriors.score.poses(single))
    np.testing.assert_allclose(localizer.posteriors.own(vectors).log_probs[0], by_hand.cells[0] - np.log(np.exp(
        by_hand.cells[0] - by_hand.cells.max()).sum()) - by_hand.cells.max(), atol=1e-4)
    other = combined(localizer.posteriors.score.poses(single[[1, 2, 3, 0]]))  # a quarter further to the right
    np.testing.assert_allclose(other.cells, by_hand.cells, atol=1e-4)
    np.testing.assert_allclose(other.bearings, np.roll(by_hand.bearings, other.bearings.shape[2] // 4, axis=2), atol=1e-4)


def test_panoramas_and_photos_are_localized_together(town, tmp_path):
    paths = [tmp_path / f"{k}.jpg" for k in range(3)]
    for k, path in enumerate(paths):
        path.write_bytes(jpeg(scene(256, 128), panorama=k == 1))
    localizer = Localizer(model_with("crop"), town.map, town.grid, search="posterior")
    found = list(localizer.localize_many(paths))
    assert [fix.photo for fix in found] == [str(path) for path in paths]
    assert [str(fix.camera).startswith("whole") for fix in found] == [False, True, False]
    together = localizer.beliefs([localizer.load_photo(path) for path in paths])
    np.testing.assert_array_equal(together.log_probs[1], localizer.localize_posterior(paths[1]).log_probs)


@pytest.mark.parametrize(("fit", "search"), [("squeeze", "posterior"), ("crop", "greedy")])
def test_other_models_and_searches_refuse_panoramas(town, fit, search):
    localizer = Localizer(model_with(fit), town.map, town.grid, search=search, cameras=CameraSource(stated_camera(360.0)))
    with pytest.raises(PhotoError, match=r"a panorama \(equirectangular in its XMP\), not an ordinary photo"):
        localizer.localize(jpeg(scene(256, 128), panorama=True))
    with pytest.raises(PhotoError, match=r"a panorama \(--fov 360\)"):
        localizer.localize(jpeg(scene(256, 128)))


def test_what_is_not_a_whole_panorama_is_refused():
    with pytest.raises(PhotoError, match=r"p\.jpg.*twice as wide as high"):
        panorama_views(jpeg(scene(300, 200)), "p.jpg", 32, Frame("crop"))
    sky = np.zeros((128, 256, 3), np.uint8)
    sky[:64] = 255
    for view in panorama_views(jpeg(sky), "p.jpg", 32, Frame("crop")):
        assert view.shape == (32, 64, 3) and (view[:14] > 240).all() and (view[18:] < 15).all()
