"""A short slice of the fuzzing, and every input that once broke a law. The long run is tests/fuzz/run.py."""

import os
import time
from pathlib import Path

import fuzz_guard
import pytest
from fuzz_guard import LawBroken, check
from fuzz_mutations import mutate, mutations
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, seed, settings

from justzoomin.errors import DataError

CORPUS = Path(__file__).resolve().parent / "corpus"
KEPT = sorted(CORPUS.glob("*/*.bin"))
EXAMPLES = {"model": 12, "config": 15, "parquet": 5, "predictions": 5, "gpx": 30, "index": 40, "exif": 40}


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("JZI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_valid(name, tmp_path):
    outcomes = set()
    for number, content in enumerate(TARGETS[name].seeds()):
        place = tmp_path / str(number)
        place.mkdir()
        outcomes.add(check(TARGETS[name].run, content, place))
    assert "valid" in outcomes


@pytest.mark.parametrize("name", TARGETS)
def test_damage_gives_a_result_or_an_error_of_ours(name, tmp_path_factory):
    target = TARGETS[name]
    seeds = target.seeds()

    @seed(20240501)
    @settings(max_examples=EXAMPLES.get(name, 60), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutations())
    def law(drawn):
        content = mutate(seeds, target.words, drawn[0], drawn[1])
        check(target.run, target.mend(content) if drawn[2] else content, tmp_path_factory.mktemp(name))

    law()


@pytest.mark.parametrize("path", KEPT, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_what_once_broke_a_law(path, tmp_path):
    target = TARGETS[path.parent.name]
    target.seeds()  # imports what the reader needs: libraries make folders of their own when they are imported
    check(target.run, path.read_bytes(), tmp_path)


def test_the_guard_sees_what_it_must(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()

    def outside(content, folder):
        (folder.parent / "escaped").write_bytes(content)

    def refuse(content, folder):
        (folder / "fine").write_bytes(content)
        raise DataError("file", "it is wrong", "Correct it.")

    def mute(content, folder):
        raise DataError("file", "it is wrong", "")

    with pytest.raises(LawBroken, match="escaped"):
        check(outside, b"", inside)
    assert check(refuse, b"", inside) == "refused" and check(lambda c, f: None, b"", inside) == "valid"
    with pytest.raises(LawBroken, match="without words"):
        check(mute, b"", inside)
    with pytest.raises(LawBroken, match="system"):
        check(lambda c, f: os.system("true"), b"", inside)
    with pytest.raises(ZeroDivisionError):
        check(lambda c, f: 1 / 0, b"", inside)


def test_the_guard_counts_time_of_the_processors_and_not_of_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_guard, "SECONDS", 0.2)

    def works(content, folder):
        end = time.process_time() + 0.4
        while time.process_time() < end:
            pass

    assert check(lambda c, f: time.sleep(0.4), b"", tmp_path) == "valid"
    with pytest.raises(LawBroken, match="s of the processors"):
        check(works, b"", tmp_path)
    monkeypatch.setattr(fuzz_guard, "WAITING_SECONDS", 0.2)
    with pytest.raises(LawBroken, match="in all"):
        check(lambda c, f: time.sleep(0.4), b"", tmp_path)


def test_the_page_names_every_target():
    page = (CORPUS.parents[2] / "docs" / "fuzzing.md").read_text(encoding="utf-8")
    assert [name for name in TARGETS if f"`{name}`" not in page] == []
