"""What is not a finite number never becomes an answer: not from an index, not from a photo, a view or the scores."""

import copy
import zlib

import numpy as np
import pytest
import torch

import fakes
from justzoomin.errors import DataError, ModelError
from justzoomin.evaluation import evaluate
from justzoomin.models import MatcherConfig, ZoomModel
from justzoomin.search import Localizer, MapIndex, ViewVectors, build_index, scorer, views_of
from justzoomin.search.index import VIEWS_FILE

NAN = float("nan")


def spoiled_index(model, dataset, folder, field, value):
    """An index whose records hold a wrong number behind a right checksum."""
    index = build_index(model, dataset.map, folder)
    records = np.memmap(folder / VIEWS_FILE, index.head.record, "r+")
    for number in range(len(records)):
        records[field][number] = value
        records["mark"][number] = zlib.crc32(memoryview(records[number].tobytes())[4:]) or 1
    records.flush()
    return MapIndex.open(folder)


@pytest.mark.parametrize(("field", "value", "words"), [
    ("vector", NAN, "the vector of view 0 holds values that are not finite"), ("vector", float("inf"), "not finite"),
    ("no_data", NAN, "the share without data of view 0 is nan"), ("no_data", 7.0, "is 7"), ("no_data", -1.0, "is -1")])
def test_an_index_with_right_checksums_of_wrong_numbers_gives_no_answer(model, dataset, repository, tmp_path, field, value,
                                                                        words):
    index = spoiled_index(model, dataset, tmp_path / "index", field, value)
    assert index.count() == len(index)
    folder = model.save_pretrained(tmp_path / "model", dataset.grid)
    photo = dataset.photos.read(dataset.split("val").image_ids[0])
    with pytest.raises(DataError, match=words):
        Localizer.load(folder, repository, device="cpu", index=index.folder).localize(photo)


def overflowing(model, name):
    """The model with one weight that is finite, and too large to compute with."""
    found = copy.deepcopy(model)
    with torch.no_grad():
        found.get_parameter(name).fill_(3e38)
    return found


@pytest.mark.parametrize(("name", "words"), [
    ("encoder.backbone.layernorm.weight", "its vectors hold values that are not finite"),
    ("decoder.output_head.weight", "its scores are not finite numbers")])
@pytest.mark.parametrize("search", ["greedy", "beam:3", "posterior"])
def test_weights_that_overflow_give_no_answer(model, dataset, name, words, search):
    localizer = Localizer(overflowing(model, name), dataset.map, dataset.grid, search=search)
    photo = dataset.photos.read(dataset.split("val").image_ids[0])
    with pytest.raises(ModelError, match=words):
        localizer.localize(photo)


def test_an_evaluation_of_such_a_model_is_no_table_of_nothing(model, dataset):
    for name in ("encoder.backbone.layernorm.weight", "decoder.output_head.weight"):
        with pytest.raises(ModelError, match="not finite"):
            evaluate(overflowing(model, name), dataset, "val")


def matching(**more):
    settings = {"metres_per_pixel": 1.0, "channels": 4, "ranges": 4, "nearest_m": 3.0, "reach_m": 20.0, "headings": 4,
                "tried": 8, "width": 8, "window_m": 64.0, "margin_m": 16.0, **more}
    plain = fakes.tiny_model(grid=3)
    return ZoomModel(plain.config.model_copy(update={"matcher": MatcherConfig(**settings)}), pretrained=False, seed=3).eval()


def test_a_ray_matcher_that_overflows_gives_no_scores(dataset):
    model = overflowing(matching(), "matcher.log_scale")
    score = scorer(model, ViewVectors(model, views_of(model, dataset.map, dataset.grid)))
    with pytest.raises(ModelError, match="its scores are not finite numbers"):
        score(torch.randn(2, model.encoder.width + model.matcher.size))


def test_pictures_that_cannot_be_encoded_are_told(model, dataset):
    found = copy.deepcopy(model)
    found.encoder.backbone.embeddings.forward = lambda *_: (_ for _ in ()).throw(RuntimeError("sizes do not match"))
    localizer = Localizer(found, dataset.map, dataset.grid)
    with pytest.raises(ModelError, match=r"it cannot encode pictures of 32 px .sizes do not match"):
        localizer.localize(dataset.photos.read(dataset.split("val").image_ids[0]))
