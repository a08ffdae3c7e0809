"""A killed import leaves no unfinished file with a final name, and a second run gives the result of one run."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from walks import SETTINGS, all_bytes, record, run, source

import fakes
from justzoomin.checks import verify_dataset
from justzoomin.data import find_splits, open_dataset
from justzoomin.errors import DataError
from justzoomin.maps import Map
from justzoomin.photos import import_photos, importing, shards
from justzoomin.photos.readers import PhotoRecord
from justzoomin.photos.workplace import Workplace

TRAIN = "metadata/large_area_train_map.csv"
SMALL_SHARDS = SETTINGS.model_copy(update={"shard_bytes": 1 << 14})


class Killed(BaseException):
    """Ends the import like a signal."""


@pytest.fixture
def die_at(monkeypatch: pytest.MonkeyPatch):
    """Die before the n-th renaming of anything."""
    real = Path.replace

    def arm(limit: int) -> None:
        count = iter(range(1_000_000))

        def replace(self: Path, target: object) -> Path:
            if next(count) >= limit:
                raise Killed
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)

    return arm


def without_report(dest: Path) -> dict[str, bytes]:
    return {k: v for k, v in all_bytes(dest).items() if k != "import-report.json"}


@pytest.mark.parametrize("in_place", [False, True])
def test_killed_at_any_renaming(in_place: bool, walk: list[PhotoRecord], town: Path, tmp_path: Path, die_at) -> None:
    def place(name: str) -> tuple[Path, Path]:
        dest = tmp_path / name / "data"
        if not in_place:
            dest.parent.mkdir()
            return town, dest
        shutil.copytree(town, dest)
        return dest, dest

    onto, whole = place("whole")
    run(walk, onto, whole, SMALL_SHARDS)
    wanted = without_report(whole)
    assert sum("streetview_images" in name for name in wanted) >= 5
    for limit in range(0, 70, 7 if in_place else 6):
        onto, dest = place(f"killed{limit}")
        before = without_report(dest) if in_place else {}
        die_at(limit)
        try:
            run(walk, onto, dest, SMALL_SHARDS)
            break
        except Killed:
            pass
        die_at(1_000_000)
        if in_place:
            left = {k: v for k, v in without_report(dest).items() if not k.startswith(".jzi-import")}
            assert all(before.get(k) == v or wanted[k] == v for k, v in left.items()), "never half a file"
            missing = {k for k in wanted if k not in left}
            assert not find_splits(dest) or missing <= {TRAIN}, "the tables come last"
            assert TRAIN in missing
        else:
            assert not dest.exists()
        run(walk, onto, dest, SMALL_SHARDS)
        assert without_report(dest) == wanted, limit
        assert not list(dest.parent.glob(".data*"))
    else:
        pytest.fail("the import never finished")
    assert limit > 10


def test_a_killed_process_and_work_that_is_not_repeated(town: Path, tmp_path: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"""
import os, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(fakes.__file__).parent)!r}]
from pathlib import Path
from test_import_resume import *
from justzoomin.photos.workplace import Workplace
finish = Workplace.finish_shard
def stop(self, number, contents):
    if number == 3:
        os._exit(9)
    finish(self, number, contents)
Workplace.finish_shard = stop
folder = Path({str(tmp_path / 'walk')!r})
run([record(folder, k) for k in range(16)], Path({str(town)!r}), Path({str(tmp_path / 'data')!r}), SMALL_SHARDS)
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=120, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ended.returncode == 9
    again = [record(tmp_path / "other", k) for k in range(16)]
    run(again, town, tmp_path / "whole" / "data", SMALL_SHARDS)
    walk = [replace(r, path=tmp_path / "walk" / r.path.name) for r in again]
    looked: list[Path] = []
    developed: list[str] = []
    examine, develop = importing.examine, shards.develop
    monkeypatch.setattr(importing, "examine", lambda path: looked.append(path) or examine(path))
    monkeypatch.setattr(shards, "develop", lambda r, *rest: developed.append(r.image_id) or develop(r, *rest))
    report = run(walk, town, tmp_path / "data", SMALL_SHARDS)
    assert not looked
    assert 0 < len(developed) < 16
    assert any("3 shards of photos already existed" in note for note in report.notes)
    assert any("16 photos were not examined again" in note for note in report.notes)
    assert without_report(tmp_path / "data") == without_report(tmp_path / "whole" / "data")


def test_other_settings_and_changed_photos_start_again(walk: list[PhotoRecord], town: Path, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Workplace, "publish", die)
        run(walk, town, tmp_path / "data", SMALL_SHARDS)
    torn = tmp_path / ".data.jzi-import" / "examined.jsonl"
    torn.write_bytes(torn.read_bytes()[:-25])
    walk[3].path.write_bytes(fakes.encoded(fakes.picture(160, 90, 99), quality=30))
    loose = SMALL_SHARDS.model_copy(update={"min_sharpness": None, "quality": 70})
    run(walk, town, tmp_path / "data", loose)
    run(walk, town, tmp_path / "whole" / "data", loose)
    assert without_report(tmp_path / "data") == without_report(tmp_path / "whole" / "data")
    assert verify_dataset(open_dataset(tmp_path / "data")).ok


def test_one_import_at_a_time(walk: list[PhotoRecord], town: Path, tmp_path: Path) -> None:
    with Workplace(tmp_path / "data", False).locked(), pytest.raises(DataError, match="another import is running"):
        import_photos(source(tmp_path / "walk", walk), tmp_path / "data", Map.open(town), SETTINGS)
    run(walk, town, tmp_path / "data")
