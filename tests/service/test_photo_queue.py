"""Photos of many clients, one model."""

import dataclasses
import threading

import pytest

from justzoomin.errors import ConfigError, ModelError, PhotoError, TileError
from justzoomin.posterior import Circle
from justzoomin.service import Asked, PhotoQueue, QueueFullError, Variants, believe


class Heard:
    def __init__(self):
        self.stages, self.batches = [], []

    def took(self, stage, seconds):
        self.stages.append(stage)

    def answered(self, photos):
        self.batches.append(photos)


@pytest.fixture
def queue(request):
    made = []

    def make(**settings):
        made.append(PhotoQueue(**settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def still(fix):
    return dataclasses.replace(fix, seconds=0.0, photo=None)


def test_answers_are_those_of_the_localizer(queue, localizer, photos):
    heard = Heard()
    filled = queue(observer=heard)
    found = [filled.submit(data, name, localizer) for name, data in photos]
    for (name, data), one in zip(photos, found, strict=True):
        fix, alone = one.result(30), localizer.localize(data)
        assert fix.photo == name and (fix.lat, fix.lon) == pytest.approx((alone.lat, alone.lon), abs=1e-6)
        assert fix.radius_90_m == pytest.approx(alone.radius_90_m, rel=1e-3)
    assert len(filled) == 0 and sum(heard.batches) == len(photos) and heard.stages.count("decode") == len(photos)


def hold(queue, localizer, photo):
    """Occupy the model until the returned event is set."""
    go, began = threading.Event(), threading.Event()

    def slow(_, batch):
        began.set()
        assert go.wait(30)
        return [None] * len(batch)

    queue.submit(photo, "slow", localizer, slow)
    assert began.wait(30)
    return go


def test_waiting_photos_are_answered_together_and_settings_apart(queue, localizer, photos):
    heard = Heard()
    filled = queue(observer=heard, batch_size=4, threads=1)
    variants = Variants(localizer)
    centre = localizer.grid.region.centre
    near = Asked("near", prior=Circle(centre.lat, centre.lon, 60.0))
    assert variants.of(near) is variants.of(near) and variants.of(Asked()) is localizer
    go = hold(filled, localizer, photos[0][1])
    plain = [filled.submit(data, name, localizer) for name, data in photos]
    limited = [filled.submit(data, name, variants.of(near)) for name, data in photos[:3]]
    while filled._bytes:  # all are decoded
        pass
    go.set()
    for one in limited:
        fix = one.result(30)
        assert fix.prior is not None and localizer.grid.region.centre.lat == pytest.approx(fix.lat, abs=0.001)
    assert all(one.result(30).prior is None for one in plain)
    assert heard.batches in ([1, 4, 3, 2], [1, 4, 2, 3])


def test_a_photo_that_is_dropped_is_not_worked_on(queue, localizer, photos):
    heard = Heard()
    filled = queue(observer=heard)
    go = hold(filled, localizer, photos[0][1])
    kept, dropped = (filled.submit(photos[1][1], "p", localizer) for _ in range(2))
    assert dropped.cancel()
    go.set()
    assert kept.result(30).photo == "p"
    assert heard.batches == [1, 1] and len(filled) == 0


def test_a_full_queue_says_when_to_come_back(queue, localizer, photos):
    filled = queue(limit=3)
    filled.seconds = 10.0
    go = hold(filled, localizer, photos[0][1])
    filled.submit(photos[0][1], "second", localizer)
    with pytest.raises(QueueFullError, match="2 photos are waiting") as full:
        filled.submit_many([(data, name) for name, data in photos[:2]], localizer)  # all or none
    assert full.value.retry_s == 10
    third = filled.submit(photos[0][1], "third", localizer)
    go.set()
    assert third.result(30).photo == "third"


def test_bytes_are_limited_too(queue, localizer, photos):
    filled = queue(limit_bytes=100)
    with pytest.raises(QueueFullError):
        filled.submit(photos[0][1], "large", localizer)
    assert len(filled) == 0


def test_one_bad_photo_fails_alone(queue, localizer, photos):
    filled = queue(threads=1)
    bad = filled.submit(b"no photo", "bad.jpg", localizer)
    with pytest.raises(PhotoError, match=r"bad\.jpg"):
        bad.result(30)

    def choosy(_, batch):
        if any(name == "cursed" for name, _ in batch):
            raise ConfigError("cursed", "it is", "Leave it.")
        return [name for name, _ in batch]

    go = hold(filled, localizer, photos[0][1])
    found = {name: filled.submit(photos[0][1], name, localizer, choosy) for name in ("a", "cursed", "b")}
    go.set()
    assert found["a"].result(30) == "a" and found["b"].result(30) == "b"
    with pytest.raises(ConfigError, match="cursed"):
        found["cursed"].result(30)


def test_beliefs_are_without_any_prior(queue, localizer, photos):
    centre = localizer.grid.region.centre
    narrow = localizer.asking(prior=Circle(centre.lat, centre.lon, 30.0))
    loaded, beliefs = queue().submit(photos[0][1], "p", narrow, believe).result(30)
    assert loaded.pair.shape[0] == 2
    own = localizer.beliefs([localizer.load_photo(photos[0][1])], prior=False)
    assert abs(beliefs.log_probs - own.log_probs).max() < 1e-5


@pytest.mark.parametrize(("error", "told", "words"), [
    (TileError("level 3", "it has no tile", "Build it."), TileError, "level 3"),
    (MemoryError("no room"), ModelError, "it cannot be prepared")])
def test_what_cannot_be_prepared_is_told_to_everyone(queue, localizer, photos, error, told, words):
    def broken():
        raise error

    filled = queue(prepare=broken)
    with pytest.raises(told, match=words):
        for _ in range(10_000):
            filled.submit(photos[0][1], "p", localizer)
    assert not filled.ready.is_set()


def test_a_localizer_with_other_settings_is_like_a_new_one(localizer, dataset, photos):
    centre = localizer.grid.region.centre
    prior = Circle(centre.lat, centre.lon, 80.0)
    other = localizer.asking(prior=prior, decision="distance")
    fresh = type(localizer)(localizer.model, dataset.map, prior=prior, decision="distance")
    assert still(other.localize(photos[0][1])) == still(fresh.localize(photos[0][1]))
    assert other.posteriors.score is localizer.posteriors.score and localizer.prior is None
    assert other.asked() == fresh.asked()
