"""Make a set of the accuracy benchmark, town by town; towns that are there are kept.

Run: python benchmarks/accuracy/make_set.py cpu SETS/cpu --workers 2
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sets import PHOTOS_PER_DRIVE, SETS, AnyRecipe, Recipe, TownsRecipe

from justzoomin.city import CityConfig, build_city

MANIFEST = "manifest.json"
FROZEN = Path(__file__).parent / "frozen"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SETS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--freeze", action="store_true", help="write this set's hashes into the repository")
    arguments = parser.parse_args()
    recipe, out = SETS[arguments.name], arguments.out
    out.mkdir(parents=True, exist_ok=True)
    jobs = [(recipe, out / name, config) for name, config in recipe.repositories().items()]
    with ProcessPoolExecutor(arguments.workers) as pool:
        for done, name in enumerate(pool.map(_make, jobs), 1):
            print(f"{done}/{len(jobs)} {name}", flush=True)
    manifest = hashes(out, recipe)
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (out / MANIFEST).write_text(text)
    frozen = FROZEN / f"{recipe.name}.json"
    if arguments.freeze:
        frozen.parent.mkdir(exist_ok=True)
        frozen.write_text(text)
        return 0
    return compare(manifest, json.loads(frozen.read_text()) if frozen.is_file() else {})


def _make(job: tuple[AnyRecipe, Path, CityConfig]) -> str:
    recipe, folder, config = job
    labels = isinstance(recipe, TownsRecipe)
    if labels or not folder.exists():
        build_city(folder, config, labels=labels)
    if isinstance(recipe, Recipe) and folder.name == "home":
        _deal(folder, recipe)
    elif not config.photos:
        (folder / "metadata" / "large_area_train_map.csv").unlink(missing_ok=True)  # a split without photos is none
    return folder.name


def _deal(folder: Path, recipe: Recipe) -> None:
    """Split the last drives of the home town's training photos off: splits `calib` and `within`."""
    table = folder / "metadata" / "large_area_train_map.csv"
    with table.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    if len(rows) <= recipe.home_photos:
        return
    assert recipe.home_photos % PHOTOS_PER_DRIVE == 0 and recipe.calib % PHOTOS_PER_DRIVE == 0
    first, second = recipe.home_photos, recipe.home_photos + recipe.calib
    for name, part in (("calib", rows[first:second]), ("within", rows[second:]), ("train", rows[:first])):
        path = table.with_name(f"large_area_{name}_map.csv")
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *part])
    (folder / "metadata" / "large_area_val_map.csv").rename(folder / "metadata" / "large_area_disjoint_map.csv")


def hashes(out: Path, recipe: AnyRecipe) -> dict[str, dict[str, str]]:
    """SHA-256 per town: of its split tables, and of its pictures (which may differ between processors in single bits)."""
    found = {}
    for name in recipe.repositories():
        tables, pictures = hashlib.sha256(), hashlib.sha256()
        for path in sorted((out / name / "metadata").glob("*.csv")):
            tables.update(path.name.encode() + path.read_bytes())
        for path in sorted((out / name / "archives").glob("*.tar")):
            pictures.update(path.name.encode() + path.read_bytes())
        found[name] = {"tables": tables.hexdigest(), "pictures": pictures.hexdigest()}
    return found


def compare(made: dict[str, dict[str, str]], frozen: dict[str, dict[str, str]]) -> int:
    """Say what differs from the frozen set; 1 if tables do."""
    tables = [name for name in made if made[name]["tables"] != frozen.get(name, {}).get("tables")]
    pictures = [name for name in made if made[name]["pictures"] != frozen.get(name, {}).get("pictures")]
    if tables:
        print(f"not the frozen set: the tables of {len(tables)} towns differ ({tables[0]} ...)", file=sys.stderr)
    elif pictures:
        print(f"the tables are the frozen ones; the pictures of {len(pictures)} towns differ in bytes", file=sys.stderr)
    else:
        print("the frozen set, byte for byte")
    return int(bool(tables))


if __name__ == "__main__":
    sys.exit(main())
