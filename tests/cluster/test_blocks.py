"""Blocks on workers that may end at any moment: every block once, in order, and a lost worker costs only its block."""

import random
from types import SimpleNamespace

import pytest
from pretended_ray import PretendedRay

from justzoomin.cluster import blocks as module
from justzoomin.cluster.blocks import AHEAD, TRIES, in_order, run_blocks
from justzoomin.cluster.joining import Room, room
from justzoomin.errors import ClusterError, DataError

THREE = Room(workers=3, cores=1, gpus=0)


class Squarer:
    def __init__(self, wrong=""):
        self.wrong, self.opened = wrong, False

    def ready(self):
        self.opened = True
        return DataError("town", "it is not there", "Copy it.") if self.wrong == "ready" else None

    def work(self, number):
        assert self.opened, "a worker got a block before it was ready"
        if self.wrong == "work":
            return DataError("tile 3", "it is broken", "Fetch it.")
        return number / 0 if self.wrong == "bug" else number * number


def test_results_come_in_order_whatever_order_they_were_done_in():
    assert list(in_order([(2, "c"), (0, "a"), (3, "d"), (1, "b")])) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("seed", range(20))
def test_every_block_is_finished_once_whoever_dies(seed):
    rng = random.Random(seed)
    deaths = {n: rng.randrange(TRIES) for n in range(50) if rng.random() < 0.2}  # how many times a block ends its worker
    total = sum(deaths.values())

    def dies(method, *args):
        if method == "work" and deaths.get(args[0], 0):
            deaths[args[0]] -= 1
            return True
        return False

    ray = PretendedRay(seed, dies)
    assert list(in_order(run_blocks(ray, Squarer, range(50), THREE))) == [n * n for n in range(50)]
    assert sorted(ray.finished) == list(range(50)), "a finished block was done again"
    assert ray.alive == [] and ray.most <= 3
    assert total <= ray.begun - 3 + 2 and ray.begun <= 3 + total  # each death is replaced while there is work


def test_a_block_that_ends_every_worker_ends_the_job_with_its_number():
    ray = PretendedRay(dies=lambda method, *args: args == (5,))
    found = []
    with pytest.raises(ClusterError, match=rf"block 5: {TRIES} workers ended"):
        found.extend(run_blocks(ray, Squarer, range(100), THREE))
    assert found and ray.alive == []


def test_workers_that_never_come_up_end_the_job():
    with pytest.raises(ClusterError, match="before they are ready"):
        list(run_blocks(PretendedRay(dies=lambda method, *args: method == "ready"), Squarer, range(5), THREE))


def test_a_worker_that_did_not_come_up_is_replaced():
    failing = iter([True, True, True])
    ray = PretendedRay(dies=lambda method, *args: method == "ready" and next(failing, False))
    assert list(in_order(run_blocks(ray, Squarer, range(9), THREE))) == [n * n for n in range(9)]


def test_a_cluster_without_room_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "START_SECONDS", 0.0)
    ray = PretendedRay()
    ray.wait = lambda refs, num_returns, timeout: ([], refs)
    with pytest.raises(ClusterError, match="ray status"):
        list(run_blocks(ray, Squarer, range(5), THREE))
    assert ray.alive == []


@pytest.mark.parametrize(("wrong", "kind", "words"), [
    ("ready", DataError, "it is not there"), ("work", DataError, "it is broken"), ("bug", ClusterError, "ZeroDivisionError")])
def test_what_a_worker_finds_wrong_ends_the_job_in_its_words(wrong, kind, words):
    ray = PretendedRay()
    with pytest.raises(kind, match=words):
        list(run_blocks(ray, lambda: Squarer(wrong), range(4), THREE))
    assert ray.alive == []


@pytest.mark.parametrize("seed", range(5))
def test_blocks_are_read_a_few_ahead_of_the_oldest_unfinished(seed):
    read, unfinished = [], set()

    def blocks():
        for number in range(300):
            assert not unfinished or number <= min(unfinished) + AHEAD * 3 + 1
            read.append(number)
            unfinished.add(number)
            yield number

    results = run_blocks(PretendedRay(seed), Squarer, blocks(), THREE)
    for number, _ in results:
        unfinished.remove(number)
        if number >= 200:
            break
    results.close()
    assert len(read) < 250


def test_no_blocks_need_no_workers():
    ray = PretendedRay()
    assert list(run_blocks(ray, Squarer, [], THREE)) == [] and ray.begun == 0


def nodes(*resources):
    return SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": r} for r in resources]
                           + [{"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}])


@pytest.mark.parametrize(("resources", "device", "wanted"), [
    ([{"CPU": 1.0}, {"CPU": 1.0}], "auto", Room(2, 1, 0)),
    ([{"CPU": 16.0}, {"CPU": 6.0}], "auto", Room(5, 4, 0)),
    ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 8.0}], "auto", Room(2, 1, 1)),
    ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 8.0}], "cpu", Room(6, 4, 0)),
    ([{"CPU": 0.0}, {"CPU": 2.0}], "auto", Room(1, 2, 0))])
def test_a_cluster_has_room_for_a_worker_a_gpu_or_a_few_cores(resources, device, wanted):
    found = room(nodes(*resources), device)
    assert found == wanted
    assert found.no_more_than(1) == Room(1, found.cores, found.gpus) and found.no_more_than(100) == found


def test_a_cluster_without_cores_has_no_room():
    with pytest.raises(ClusterError, match="num-cpus"):
        room(nodes({"CPU": 0.0}, {}), "auto")
