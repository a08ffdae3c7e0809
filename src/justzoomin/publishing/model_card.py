"""A model's card: what its folder knows, in plain words, with the front matter that the hub understands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from justzoomin.files import write_bytes
from justzoomin.models import MapModel, open_model
from justzoomin.posterior import Calibration, find_calibration
from justzoomin.publishing.eval_results import Report, eval_files, model_index, reports_in, table
from justzoomin.publishing.front_matter import CARD, with_front_matter
from justzoomin.publishing.model_rights import DATA_LICENCE, TrainingData, training_data
from justzoomin.untrusted import files_in, printable

PICTURES = "assets"
_MOST_ROWS, _MOST_PICTURES = 20, 4
_LIMITS = {
    True: "It was trained on one map and knows the cells of that map alone: elsewhere its answers are about as good as chance.",
    False: "On other maps, regions, seasons or cameras than those of its training, expect worse figures than these.",
}


def write_model_card(folder: Path, *, licence: str, data_licence: str = "", title: str = "", repo_id: str = "owner/name",
                     datasets: Sequence[str] = (), benchmark: str | None = None, reports: Sequence[Path] = ()) -> list[Path]:
    """Write the card of a model, and `.eval_results/` if the benchmark is named; return the files written.

    Args:
        folder: The model's folder.
        licence: Licence of the weights, as the hub spells it.
        data_licence: Licence of training data whose record does not state one.
        title: Title; empty for the folder's name.
        repo_id: The hub id that the lines of use name.
        datasets: Dataset repositories of the hub that it was trained on.
        benchmark: Dataset repository of the hub that the reports are of.
        reports: Further evaluation reports, besides `evaluation-*.json` in the folder.

    Raises:
        ModelError: If the model cannot be opened.
        DataError: If a report cannot be read or is of another model.
        OSError: If the folder cannot be written.
    """
    model = open_model(folder)
    found = reports_in(folder, reports, model.fingerprint())
    text = model_card(model, found, licence=licence, data_licence=data_licence, title=title or folder.resolve().name,
                      repo_id=repo_id, datasets=datasets, benchmark=benchmark)
    written = [write_bytes(folder / CARD, text.encode(), folder)]
    for name, content in (eval_files(found, benchmark) if benchmark else {}).items():
        written.append(write_bytes(folder / name, content, folder))
    return written


def model_card(model: MapModel, reports: Sequence[Report], *, licence: str, data_licence: str = "", title: str,
               repo_id: str = "owner/name", datasets: Sequence[str] = (), benchmark: str | None = None) -> str:
    """Return the text of a model's card; see `write_model_card`."""
    folder, config, grid = model.folder, model.config, model.grid
    rows = training_data(model.provenance)
    calibration = find_calibration(folder, model.fingerprint)
    pictures = [] if folder is None else [path for ending in ("gif", "png", "jpg")
                                          for path in files_in(folder / PICTURES, f"*.{ending}")][:_MOST_PICTURES]
    place = "The region of its training is not recorded." if grid is None else (
        f"Trained on a region of {grid.region.size_m:,.0f} m around {grid.region.centre.lat:.4f}, "
        f"{grid.region.centre.lon:.4f},\nin {grid.depth} steps of {grid.grid} x {grid.grid} to cells of "
        f"{grid.cell_size_m(grid.depth):g} m.")
    known = {"cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "mit", "apache-2.0", "bsd-3-clause"}
    front: dict[str, Any] = {
        "license": licence if licence.lower() in known else "other",
        "license_name": None if licence.lower() in known else licence,
        DATA_LICENCE: data_licence, "library_name": "justzoomin", "pipeline_tag": "image-feature-extraction",
        "tags": ["cross-view-geo-localization", "visual-localization", "geolocation", "street-view", "aerial-imagery",
                 f"justzoomin-{config.family}"],
        "datasets": list(datasets),
        "base_model": config.encoder.source if config.encoder.source and config.encoder.source.count("/") == 1 else None,
        "model-index": model_index(reports, title, benchmark)}
    architecture = (config.encoder.architecture or {}).get("model_type", "encoder")
    shown = "".join(f"\n![{path.stem}]({PICTURES}/{path.name})\n" for path in pictures)
    return with_front_matter(front, f"""# {title}
{shown}
Says where a street photo was taken, from the photo and an overhead map alone. Family `{config.family}`, preset
`{config.preset or "none"}`, {architecture} encoder, {sum(p.numel() for p in model.parameters()):,} weights. {place}

## Use

```python
from justzoomin import Localizer
fix = Localizer.load("{repo_id}", "MAP").localize("photo.jpg")
print(fix.lat, fix.lon, fix.credible_radius_m)
```

`MAP` is the folder of an overhead map. Calibration and exported encoders of this repository are found by the same line.

## Training data

{_data_table(rows, data_licence)}
{_credits(rows)}
## Figures

{table(reports)}
## Calibration

{_calibration(calibration)}
## Limits

- {_LIMITS[model.one_map or (config.family == "zoom" and model.matcher is None)]}
- It answers for every photo, also for photos that were not taken on the map. Read the radius and `on_map` with every answer.
- Do not use it to find where people are or live against their will.

Fingerprint `{model.fingerprint()}`. `hashes.json` lists every file with its SHA-256; they are checked when the model is opened.
""")


def _data_table(rows: Sequence[TrainingData], asserted: str) -> str:
    if not rows:
        return f"It is not recorded what it was trained on{f'; stated licence: {asserted}' if asserted else ''}.\n"
    lines = ["| data | photos | licence | SHA-256 of the split | SHA-256 of the map |", "|---|---|---|---|---|"]
    for row in rows[:_MOST_ROWS]:
        licences = ", ".join(row.licences) or (f"{asserted} (stated by hand)" if asserted else "not recorded")
        name = printable(row.name, 80).replace("|", "/") + (" (earlier training)" if row.earlier else "")
        lines.append(f"| {name} | {'' if row.photos is None else f'{row.photos:,}'} | {licences} | `{row.split_hash[:16]}` | "
                     f"`{row.map_hash[:16]}` |")
    if len(rows) > _MOST_ROWS:
        lines.append(f"\nand {len(rows) - _MOST_ROWS} more; `provenance.json` lists them all.")
    return "\n".join(lines) + "\n"


def _credits(rows: Sequence[TrainingData]) -> str:
    texts = list(dict.fromkeys(row.attribution for row in rows if row.attribution))[:_MOST_ROWS]
    return "".join(f"\n```text\n{text}\n```\n" for text in texts)


def _calibration(found: Calibration | None) -> str:
    if found is None:
        return "None: its probabilities are those of the network, which may be too sure.\n"
    lines = []
    for part, name in ((found.one_map, "one map"), (found.many_maps, "maps it has never seen")):
        if part is None:
            continue
        after = part.figures.get("after", {})
        coverage = (after if part is found.one_map else after.get("all", {})).get("coverage", {})
        words = ", ".join(f"{100 * values[0]:.1f} % of photos in their {level} % region" for level, values in coverage.items())
        lines.append(f"- Fitted for {name} on {part.photos:,} photos{f': {words}' if words else ''}.")
    return "\n".join(lines) + "\n"
