"""The own-city recipe on a town that no model has seen: trained from nothing, the packaged model as it is, and fine-tuned.

    python benchmarks/own_city.py FOLDER [--seeds 11 12] [--photos 400]

Each town is exported as a person has it (an orthophoto as GeoTIFF, photos with EXIF), built and imported with the commands of
README, split by blocks, and trained on. Every row is scored on the validation photos: blocks whose streets no training photo
shows. Intervals are over photos: photos that are imported with EXIF alone tell of no drives.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from justzoomin.apps.main import main as jzi_main
from justzoomin.city import CityConfig, build_city

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import exports

ROWS = {
    "from nothing, --preset small": ("--preset", "small"),
    "fine-tuned, --from demo": ("--from", "demo"),
}


def jzi(*words: object) -> None:
    """Run a command in this process; end where it fails."""
    try:
        jzi_main([str(word) for word in words])
    except SystemExit as stop:
        if stop.code:
            raise


def town(folder: Path, seed: int, photos: int) -> Path:
    """Build and import a town with the commands, as a person would."""
    own = folder / f"own-{seed}"
    if (own / "metadata").is_dir():
        return own
    config = CityConfig(seed=seed, size_m=320.0, photos=photos, val_photos=16, depth=3, photo_width=192, photo_height=108)
    made = build_city(folder / f"town-{seed}", config)
    ortho = exports.export_orthophoto(made, folder / f"ortho-{seed}.tif")
    exports.export_photos(made, folder / f"photos-{seed}")
    jzi("map", "build", ortho, own, "--attribution", "A synthetic town, CC0 1.0",
        "--region", made / "satellite" / "region.yaml")
    jzi("photos", "import", folder / f"photos-{seed}", own, "--map", own, "--split", "block", "--val-share", 0.25,
        "--license", "CC0-1.0", "--attribution", "A synthetic town", "--keep-duplicates")
    return own


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--photos", type=int, default=400)
    options = parser.parse_args()
    for seed in options.seeds:
        own = town(options.folder, seed, options.photos)
        rows: dict[str, tuple[str, float]] = {"the packaged model as it is": ("demo", 0.0)}
        for name, words in ROWS.items():
            run, began = options.folder / f"run-{seed}-{name.split()[0].strip(',')}", time.perf_counter()
            jzi("train", "--data", own, *words, "--out", run, *(["--resume"] if run.is_dir() else []))
            rows[name] = str(run / "models" / "last"), time.perf_counter() - began
        for name, (model, seconds) in rows.items():
            report = options.folder / "report.json"
            jzi("evaluate", model, "--data", own, "--json", report)
            found = json.loads(report.read_text())
            low, high = found["intervals_95"]["recall_at_m"]["40"]
            print(f"town {seed}: {name}: R@40m {found['recall_at_m']['40']:.1f} [{low:.1f}, {high:.1f}] %, median "
                  f"{found['median_m']:.0f} m, chance {found['chance']['recall_at_m']['40']:.1f} %, {found['n']} photos, "
                  f"trained in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
