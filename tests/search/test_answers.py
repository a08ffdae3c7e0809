"""What a Fix says after a beam or a whole posterior, which search is taken, and what goes with what."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

import fakes
from justzoomin.errors import ConfigError, DataError, GeometryError, ModelError
from justzoomin.geometry import Region, ZoomGrid, haversine_m
from justzoomin.maps import GridViews, region_look
from justzoomin.posterior import (
    Calibration,
    Circle,
    CredibleRegion,
    ManyMapsCalibration,
    OneMapCalibration,
    Posterior,
    lattice,
)
from justzoomin.posterior.many_maps import TemperatureLaw, UniformLaw, ranges
from justzoomin.search import (
    Fix,
    Localizer,
    NotTrainedHereWarning,
    Search,
    ViewVectors,
    beam,
    build_index,
    choose_search,
    exact,
    facts_of,
    localize_to_file,
    parse_search,
    scorer,
)


@pytest.fixture(scope="session")
def keen():
    """A model with clear preferences."""
    model = fakes.tiny_model(grid=3, seed=3)
    with torch.no_grad():
        model.decoder.output_head.weight *= 60
    return model


@pytest.fixture(scope="session")
def photo(dataset):
    return dataset.photos.read(dataset.split("val").image_ids[1])


@pytest.fixture(scope="session")
def truth(keen, dataset, photo):
    """Log-probabilities (N,) of the photo."""
    localizer = Localizer(keen, dataset.map)
    vectors = ViewVectors(keen, GridViews(dataset.map, dataset.grid, keen.config.image_pixels))
    return exact(keen, localizer.encode(localizer.load_photo(photo).pair.unsqueeze(0)), vectors, 3)[0]


def calibration_of(model, **changed):
    plain = OneMapCalibration("b" * 64, 100, (1.0,) * 3, (0.0,) * 3, "entropy", -100.0, 0.95, {})
    return Calibration(model.fingerprint(), dataclasses.replace(plain, **changed))


def test_every_field_is_the_posteriors(keen, dataset, photo, truth):
    grid = dataset.grid
    fix = Localizer(keen, dataset.map, search="posterior", decision="within:25").localize(photo)
    whole = Posterior.of(grid, truth)
    assert (fix.searched, fix.decision, fix.calibrated, fix.prior, fix.on_map) == ("posterior", "within:25", False, None, None)
    assert fix.sequence == tuple(grid.encode(fix.lat, fix.lon)[0].tolist())
    assert fix.expected == pytest.approx(whole.mass_within(fix.lat, fix.lon, 25.0), abs=1e-5)
    cells, probs = whole.top(10)
    assert [s for s, _ in fix.top_cells] == [tuple(s) for s in grid.unflatten(cells, 3).tolist()]
    assert [p for _, p in fix.top_cells] == pytest.approx(probs.tolist(), rel=1e-4)
    assert fix.regions.keys() == {50, 90, 95}
    assert fix.regions[90] == whole.region(0.9).area_m2
    assert np.array_equal(CredibleRegion.from_runs(grid, fix.region_90).mask, whole.region(0.9).mask)
    assert np.array(fix.covariance_m2) == pytest.approx(whole.moments().covariance_m2, rel=1e-4)
    assert fix.entropy_bits == pytest.approx(whole.entropy_bits, rel=1e-4)
    assert whole.mass_within(fix.lat, fix.lon, fix.credible_radius_m) == pytest.approx(0.5, abs=1e-3)
    assert np.prod(fix.probabilities) == pytest.approx(whole.probs[grid.flatten([fix.sequence])[0]], rel=1e-3)


@pytest.mark.parametrize(("words", "calibrated", "on_map"), [
    ({"map": "here"}, True, True), ({"look": "here"}, True, True), ({"look": "here", "off_map_threshold": 100.0}, False, False),
    ({"look": "00" * 48}, False, None), ({"map": "a" * 64}, False, None), ({}, False, None)])
def test_a_calibration_covers_the_map_it_was_fitted_on(keen, dataset, photo, words, calibrated, on_map):
    """By the map's hash or its look; one that records neither covers no map, and says why."""
    look = region_look(GridViews(dataset.map, dataset.grid, keen.config.image_pixels))
    here = {"look": look, "map": dataset.map.fingerprint()}
    words = {name: here[name] if value == "here" else value for name, value in words.items()}
    localizer = Localizer(keen, dataset.map, search="posterior", calibration=calibration_of(keen, **words))
    fix = localizer.localize(photo)
    assert (fix.calibrated, fix.on_map) == (calibrated, on_map)
    assert fix.not_calibrated == (None if calibrated else "the photo does not look like one of this map" if on_map is False
                                  else "the model's calibration is for another map")


@pytest.mark.parametrize(("change", "trained", "why"), [
    ({}, False, None), ({"area_m2": 1e9}, False, "this map is unlike the 4 maps of the model's calibration: its area is"),
    ({"look": "000000" * 16}, False, "this map is unlike the 4 maps of the model's calibration: its colours are different"),
    ({}, True, "the model was trained on this map, and its calibration is for maps that it has never seen")])
def test_a_calibration_of_many_maps_covers_maps_like_them(keen, dataset, photo, truth, monkeypatch, change, trained, why):
    """Beside a calibration of another map, which it replaces here; and it says why it does not cover a map."""
    here = dataclasses.replace(facts_of(GridViews(dataset.map, dataset.grid, keen.config.image_pixels)), **change)
    sizes, colour = ranges([here])
    many = ManyMapsCalibration((TemperatureLaw(1.0),), UniformLaw(-4.0), 100, ("d" * 64,) * 4, ("e" * 64,), sizes, colour, {})
    monkeypatch.setattr(keen, "provenance", {"map_hash": dataset.map.fingerprint() if trained else "f" * 64})
    both = dataclasses.replace(calibration_of(keen, map="a" * 64), many_maps=many)
    localizer = Localizer(keen, dataset.map, search="posterior", calibration=both)
    fix = localizer.localize(photo)
    assert (fix.calibrated, fix.on_map) == (why is None, None)
    assert fix.not_calibrated == why or fix.not_calibrated.startswith(why)
    assert np.allclose(localizer.localize_posterior(photo).log_probs, many.apply(dataset.grid, truth[None])[0], atol=1e-4)
    own = dataclasses.replace(both, one_map=calibration_of(keen, map=dataset.map.fingerprint()).one_map)
    at_home = Localizer(keen, dataset.map, search="posterior", calibration=own)
    assert at_home.localize(photo).calibrated
    assert np.allclose(at_home.localize_posterior(photo).log_probs, truth, atol=1e-4)


def test_the_decision_answers_and_the_probabilities_stay(keen, dataset, photo, truth):
    fixes = {d: Localizer(keen, dataset.map, search="posterior", decision=d).localize(photo)
             for d in ("top", "distance", "within:60", None)}
    assert fixes[None].decision == "within:40"
    assert fixes["top"].position == dataset.grid.cell(fixes["top"].sequence).centre
    assert fixes["top"].sequence == fixes["top"].top_cells[0][0]
    assert dataset.grid.flatten([fixes["top"].sequence])[0] == truth.argmax()
    assert fixes["top"].expected == pytest.approx(fixes["top"].top_cells[0][1])
    for fix in fixes.values():
        assert fix.top_cells == fixes["top"].top_cells
    whole = Posterior.of(dataset.grid, truth)
    assert fixes["within:60"].expected >= whole.mass_within(*fixes["top"].position, 60.0) - 1e-6
    assert len({f.position for f in fixes.values()}) > 2


def test_a_posterior_alone(keen, dataset, photo, truth):
    for search in ("greedy", "posterior", "beam:2"):
        found = Localizer(keen, dataset.map, search=search).localize_posterior(photo)
        assert np.allclose(found.log_probs, truth, atol=1e-4)
        assert found.probs.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_beam_answers_with_its_best_path(keen, dataset, vectors, photo):
    localizer = Localizer(keen, dataset.map, search="beam:5")
    fix = localizer.localize(photo)
    own = ViewVectors(keen, GridViews(dataset.map, dataset.grid, keen.config.image_pixels))
    found = beam(keen, localizer.encode(localizer.load_photo(photo).pair.unsqueeze(0)), own, 3, 5)
    assert [list(s) for s, _ in fix.top_cells] == found.sequences[0].tolist()
    assert [p for _, p in fix.top_cells] == pytest.approx(found.log_probs[0].exp().tolist(), rel=1e-4)
    assert list(fix.sequence) == found.sequences[0, 0].tolist()
    assert np.prod(fix.probabilities) == pytest.approx(fix.top_cells[0][1], rel=1e-3) == fix.expected
    assert (fix.searched, fix.decision, fix.regions, fix.entropy_bits) == ("beam:5", "top", None, None)
    one = Localizer(keen, dataset.map, search="beam:1").localize(photo)
    greedy = Localizer(keen, dataset.map, search="greedy").localize(photo)
    assert one.sequence == greedy.sequence
    assert one.probabilities == pytest.approx(greedy.probabilities, rel=1e-4)


def test_a_prior_rules_cells_out_and_a_flat_one_changes_nothing(keen, dataset, photo):
    free = Localizer(keen, dataset.map, search="posterior").localize(photo)
    flat = Localizer(keen, dataset.map, prior=Circle(54.5, 3.0, 10_000.0)).localize(photo)
    unnamed = {"seconds", "prior"}
    assert {k: v for k, v in flat.to_dict().items() if k not in unnamed} == {
        k: v for k, v in free.to_dict().items() if k not in unnamed}
    centre = dataset.grid.cell((0, 0)).centre
    tight = Localizer(keen, dataset.map, prior=Circle(*centre, 20.0)).localize(photo)
    assert tight.searched == "posterior"
    assert "within 20 m" in tight.prior
    assert haversine_m(tight.lat, tight.lon, *centre) < 35.0
    assert tight.sequence[:2] == (0, 0)
    with pytest.raises(GeometryError, match="rules out every cell"):
        Localizer(keen, dataset.map, prior=Circle(0.0, 3.0, 20.0)).localize(photo)


def test_a_calibration_is_applied_and_bound_to_its_model(keen, dataset, photo, truth):
    hot = calibration_of(keen, temperatures=(3.0, 3.0, 3.0), map=dataset.map.fingerprint())
    localizer = Localizer(keen, dataset.map, search="posterior", calibration=hot)
    fix, found = localizer.localize(photo), localizer.localize_posterior(photo)
    assert fix.calibrated
    assert fix.on_map is True
    assert np.allclose(found.log_probs, hot.one_map.apply(dataset.grid, truth[None])[0], atol=1e-4)
    assert fix.entropy_bits > Posterior.of(dataset.grid, truth).entropy_bits
    assert fix.regions[90] == found.region(0.9).area_m2 > Posterior.of(dataset.grid, truth).region(0.9).area_m2
    assert Localizer(keen, dataset.map, search="posterior", calibration=calibration_of(
        keen, map=dataset.map.fingerprint(), off_map_threshold=100.0)).localize(photo).on_map is False
    assert not Localizer(keen, dataset.map, search="greedy", calibration=hot).localize(photo).calibrated
    with pytest.raises(ModelError, match="fitted for model"):
        Localizer(fakes.tiny_model(grid=3, seed=9), dataset.map, calibration=hot)


def test_a_calibration_in_the_models_folder_is_taken_where_it_fits(keen, dataset, repository, photo, tmp_path):
    folder = keen.save_pretrained(tmp_path / "model", dataset.grid)
    calibration_of(keen, map=dataset.map.fingerprint()).save(folder / "calibration.json")
    assert Localizer.load(folder, repository, device="cpu").localize(photo).calibrated
    assert not Localizer.load(folder, repository, device="cpu", calibrated=False).localize(photo).calibrated
    with pytest.warns(NotTrainedHereWarning):
        other = Localizer.load(folder, repository, ZoomGrid(dataset.grid.region, 3, 2), device="cpu")
    assert not other.localize(photo).calibrated


def test_bulk_binds_calibration(keen, dataset, photo, tmp_path):
    (tmp_path / "a.jpg").write_bytes(photo)
    out = tmp_path / "fixes.jsonl"

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        localize_to_file(Localizer(keen, dataset.map), [tmp_path / "a.jpg"], out, localize=stop)
    calibrated = Localizer(keen, dataset.map, calibration=calibration_of(keen))
    with pytest.raises(DataError, match="differs in calibration"):
        localize_to_file(calibrated, [tmp_path / "a.jpg"], out)
    localize_to_file(Localizer(keen, dataset.map), [tmp_path / "a.jpg"], out)
    assert Fix.from_dict(json.loads(out.read_text()), dataset.grid).searched == "posterior"


def test_auto_takes_the_posterior_where_it_is_cheap(model, dataset, tmp_path):
    def chosen(grid, index=None, pixels=32, decision=None, prior=False, matcher=False):
        return str(choose_search("auto", grid, index, pixels, decision=decision, prior=prior, matcher=matcher))

    region = dataset.grid.region
    small, large = ZoomGrid(region, 4, 3), ZoomGrid(Region(54.5, 3.0, (-5000, 5000), (-5000, 5000)), 4, 4)
    assert chosen(small, pixels=64) == "posterior"
    assert chosen(small, pixels=384) == chosen(large) == "greedy"
    assert chosen(large, decision="top") == "greedy"
    assert chosen(large, pixels=384, matcher=True) == "posterior"  # paths are those of the zoomer alone
    assert chosen(large, decision="distance") == chosen(large, prior=True) == "posterior"
    index = build_index(model, dataset.map, tmp_path / "index", lazy=True)
    assert chosen(dataset.grid, index, 384) == "greedy"
    index = build_index(model, dataset.map, tmp_path / "index")
    assert chosen(dataset.grid, index, 384) == "posterior"


def test_what_does_not_go_together(keen, dataset):
    for search in ("greedy", "beam:4"):
        with pytest.raises(ConfigError, match="a decision needs the whole posterior"):
            Localizer(keen, dataset.map, search=search, decision="distance")
        with pytest.raises(ConfigError, match="a prior needs"):
            Localizer(keen, dataset.map, search=search, prior=Circle(54.5, 3.0, 10.0))
        assert str(Localizer(keen, dataset.map, search=search, decision="top").search) == search
    with pytest.raises(ConfigError, match="within:METRES"):
        Localizer(keen, dataset.map, decision="best")


def test_words_of_searches():
    for search in (Search("greedy"), Search("posterior"), Search("beam", 8)):
        assert parse_search(str(search)) == search
    assert parse_search("auto") is None
    for wrong in ("", "beam", "beam:0", "beam:-1", "beam:5000", "exact", "Greedy"):
        with pytest.raises(ConfigError, match="beam:K"):
            parse_search(wrong)


def test_scores_are_the_models_own_and_photos_come_in_groups(keen, dataset, photo, truth, monkeypatch):
    localizer = Localizer(keen, dataset.map, search="posterior")
    pairs = localizer.load_photo(photo).pair.unsqueeze(0).repeat(3, 1, 1, 1, 1)
    assert np.allclose(scorer(keen, localizer.vectors)(localizer.encode(pairs)), truth, atol=1e-4)
    (together,) = localizer.answering.find(localizer.encode(pairs))
    monkeypatch.setattr("justzoomin.search.answering.MAX_VALUES", 1)
    alone = list(localizer.answering.find(localizer.encode(pairs)))
    assert [found.fields()[0]["sequence"] for found in alone] == [answer["sequence"] for answer in together.fields()]
    assert len(alone) == 3


def test_the_answer_lies_in_its_cell_even_across_slivers(keen, dataset):
    """A large region far north: neighbouring charts disagree by metres, and the sequence is still the answer's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        grid = ZoomGrid(Region(70.0, 20.0, (-15_000, 15_000), (-15_000, 15_000)), 3, 3)
    from justzoomin.posterior import parse_decision
    from justzoomin.search.answers import posterior_answers

    rng = np.random.default_rng(0)
    found = [Posterior.of(grid, rng.normal(0, 3, 729)) for _ in range(20)]
    for words in ("within:900", "distance", "top"):
        for answer, own in zip(posterior_answers(found, parse_decision(words)), found, strict=True):
            assert grid.encode(answer["lat"], answer["lon"])[0].tolist() == list(answer["sequence"])
            cell = int(grid.flatten([answer["sequence"]])[0])
            cells = lattice(grid)
            assert haversine_m(answer["lat"], answer["lon"], cells.lat[cell], cells.lon[cell]) < cells.cell_m
            if words == "top":
                assert cell == own.log_probs.argmax()
