"""A zoomer's say counts where it has seen photos, and its mean elsewhere."""

import numpy as np

import fakes
from justzoomin.data import PhotoPlaces
from justzoomin.geometry import haversine_m
from justzoomin.maps import GridViews
from justzoomin.posterior import lattice
from justzoomin.search.known_places import known_cells, only_known


def test_known_cells_keep_their_say_and_others_get_the_mean():
    said = np.log(np.array([[0.5, 0.2, 0.2, 0.1], [0.01, 0.01, 0.9, 0.08]]))
    found = np.exp(only_known(said, np.array([True, True, False, False])))
    np.testing.assert_allclose(found, [[0.5, 0.2, 0.35, 0.35], [0.01, 0.01, 0.01, 0.01]])


def test_knowing_everything_or_nothing_changes_nothing():
    said = np.log(np.random.default_rng(0).dirichlet(np.ones(9), 5))
    for known in (np.ones(9, bool), np.zeros(9, bool)):
        np.testing.assert_array_equal(only_known(said, known), said)


def test_the_mean_neither_wins_nor_loses():
    """Whatever the zoomer says, its say has the same mean over the known cells as anywhere else, and ranks them as before."""
    rng = np.random.default_rng(1)
    said = np.log(rng.dirichlet(np.full(50, 0.2), 20).clip(1e-30))
    known = rng.random(50) < 0.4
    found = only_known(said, known)
    np.testing.assert_array_equal(found[:, known], said[:, known])
    for row, said_of in zip(found, said, strict=True):
        np.testing.assert_allclose(np.exp(row[~known]), np.exp(said_of[known]).mean())
    shifted = only_known(said + 3.0, known)
    np.testing.assert_allclose(shifted, found + 3.0)


def test_a_models_record_says_which_cells_it_knows(repository, monkeypatch):
    from justzoomin.data import open_dataset

    dataset, model = open_dataset(repository), fakes.tiny_model()
    views = GridViews(dataset.map, dataset.grid, model.config.image_pixels)
    records = dataset.split("train")
    lat, lon = records.lat[:2], records.lon[:2]
    row = {"map_hash": dataset.map.fingerprint(), "places": PhotoPlaces.of(dataset.grid.region, lat, lon).to_dict()}
    monkeypatch.setattr(model, "provenance", row)
    known = known_cells(model, views)
    cells = lattice(dataset.grid)
    distance = haversine_m(cells.lat[:, None], cells.lon[:, None], lat, lon).min(1)
    assert known is not None and known.sum() < len(known)
    assert known[distance < 12.0].all() and not known[distance > 28.0].any()
    trained_beside = {"zoomer_trained": False, "map_hash": dataset.map.fingerprint(), "started_from": row}
    monkeypatch.setattr(model, "provenance", trained_beside)
    np.testing.assert_array_equal(known_cells(model, views), known)
    for other in ({}, {"map_hash": dataset.map.fingerprint()}, {**row, "map_hash": "0" * 64}):
        monkeypatch.setattr(model, "provenance", other)
        assert known_cells(model, views) is None
