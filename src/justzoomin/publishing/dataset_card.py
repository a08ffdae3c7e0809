"""A dataset's card: front matter, attribution, layout, tables, samples, citation, as the published dataset has one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from justzoomin.archives import DownloadRecord
from justzoomin.data import Dataset, decode_photo, photo_tables
from justzoomin.errors import ConfigError, DataError
from justzoomin.figures import ViewPictures, build_case, save_figure, sheet, zoom_gif
from justzoomin.files import write_bytes
from justzoomin.maps import GridViews
from justzoomin.publishing.dataset_files import Inventory, inventory
from justzoomin.publishing.front_matter import CARD, licence_of, read_front_matter, with_front_matter
from justzoomin.untrusted import printable, read_limited

SHEET, ZOOM = "assets/samples.jpg", "assets/zoom.gif"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_PIXELS, _PHOTO_PIXELS = 384, 540
_MAX_CITATION = 100_000
_COLUMNS = {
    "image_id": "Id of the photo; its file is `<image_id>_undistorted.jpg`",
    "sequence": "True zoom actions, from the whole region down",
    "latitude": "True latitude, degrees", "longitude": "True longitude, degrees",
    "split": "Split that the photo belongs to", "sequence_id": "Drive that the photo was taken on",
    "captured_at": "When the photo was taken", "bearing_deg": "Which way the photo faces, degrees clockwise from north",
    "computed_compass_angle": "Which way the photo faces, from neighbouring photos, degrees",
    "compass_angle": "Which way the photo faces, from the camera's compass, degrees",
    "hfov_deg": "Horizontal field of view, degrees", "pitch_deg": "Tilt of the camera upwards, degrees",
    "roll_deg": "Tilt of the camera to its right, degrees", "license": "Licence of the photo",
    "attribution": "Whom to credit for the photo", "panorama_id": "Panorama that the photo was cut from",
}
_PAPER = """```bibtex
@article{erzurumlu2026justzoomin,
  title={Just Zoom In: Cross-View Geo-Localization via Autoregressive Zooming},
  author={Erzurumlu, Yunus Talha and Kwag, Jiyong and Yilmaz, Alper},
  journal={arXiv preprint arXiv:2603.25686},
  year={2026}
}
```
"""


def write_dataset_card(dataset: Dataset, *, licence: str = "", title: str = "", replace: bool = False,
                       samples: int = 12, seed: int = 0) -> list[Path]:
    """Write a dataset's card, its sheet of samples, its zoom, and a Parquet file beside each split table; return the files.

    Args:
        dataset: The dataset.
        licence: Licence of the whole dataset; empty for what its README states.
        title: Title; empty for what its README states, or the folder's name.
        replace: Whether a README.md that exists is replaced.
        samples: Number of photos on the sheet.
        seed: Seed of their choice.

    Raises:
        ConfigError: If no licence is given, or the README exists and is not to be replaced.
        DataError: If the folder is a download, whose card is that of its owners, or a table cannot be read.
        PhotoError: If a photo of the sheet cannot be read.
        TileError: If the map cannot give a view.
        OSError: If the folder cannot be written.
    """
    root = dataset.root
    record = DownloadRecord.load(root)
    if record is not None and CARD in record.files:
        raise DataError(root / CARD, f"this folder is a download of {record.repo_id}, and its card is that of its owners",
                        "Copy what you need into a folder of your own.")
    before = read_front_matter(root)
    if before is not None and not replace:
        raise ConfigError(str(root / CARD), "it exists", "Give --replace to write a new one.")
    licence = licence or licence_of(before)
    if not licence:
        raise ConfigError("--license", "no licence is given, and no README.md states one", "Name the licence of the dataset.")
    title = title or str((before or {}).get("pretty_name") or root.resolve().name)
    written = _parquet_twins(dataset)
    written += _pictures(dataset, samples, seed)
    text = dataset_card(dataset, inventory(root), licence=licence, title=title)
    return [write_bytes(root / CARD, text.encode(), root), *written]


def dataset_card(dataset: Dataset, files: Inventory, *, licence: str, title: str) -> str:
    """Return the text of a dataset's card.

    Args:
        dataset: The dataset.
        files: Its files.
        licence: Licence of the whole dataset.
        title: Title.
    """
    counts = {name: len(dataset.split(name)) for name in dataset.split_paths}
    total, grid, layout = sum(counts.values()), dataset.grid, dataset.map.layout
    region, centre = grid.region, grid.region.centre
    shown = f"\n![Zoom into the map]({ZOOM})\n" if (dataset.root / ZOOM).is_file() else ""
    sheet_shown = f"![Samples]({SHEET})\n\n" if (dataset.root / SHEET).is_file() else ""
    splits = "\n".join(f"| `{name}` | {count:,} | `{dataset.split_hash(name)}` |" for name, count in counts.items())
    return with_front_matter(_front(dataset, counts, licence, title), f"""# {title}
{shown}
Street photos and an overhead map of the same place, for cross-view geo-localization: say where a photo was taken, from the
photo and the map alone.

- {total:,} photos over a region of {region.size_m:,.0f} m around {centre.lat:.5f}, {centre.lon:.5f}.
- The map has the levels {layout.min_zoom} to {layout.max_zoom}.
- A position is a sequence of {grid.depth} zoom actions, each one of {grid.grid} x {grid.grid} cells. The last cell is
  {grid.cell_size_m(grid.depth):g} m wide.

| split | photos | SHA-256 of ids, positions and sequences |
|---|---|---|
{splits}

## Licence and attribution

The dataset is shared under **{licence}**. Credit with anything made from it:

```text
{dataset.attribution()}
```

Who uses it keeps to the licences of its sources.

## Repository layout

```text
{files.tree()}
```

Tiles and photos are in TAR shards, which `justzoomin` reads in place. `m1`, `m2` ... in the names mean the levels -1, -2 ...
Each split table is there as CSV and as Parquet with the same rows.

## Metadata

{_tables(dataset)}
## Download and use

```sh
pip install justzoomin
jzi data download FOLDER --repo-id OWNER/NAME
jzi data verify FOLDER
```

```python
from justzoomin import open_dataset
dataset = open_dataset("FOLDER")
```

## Samples

{sheet_shown}Each sample is a street photo, its position, and the true zoom actions over the map.

## Citation

{_citation(dataset.root)}""")


def _front(dataset: Dataset, counts: Mapping[str, int], licence: str, title: str) -> dict[str, Any]:
    total = sum(counts.values())
    known = licence.lower() == licence and " " not in licence and "," not in licence
    files = [{"split": name, "path": path.with_suffix(".parquet").relative_to(dataset.root).as_posix()
              if path.with_suffix(".parquet").is_file() else path.relative_to(dataset.root).as_posix()}
             for name, path in dataset.split_paths.items()]
    return {"license": licence if known else "other", "license_name": None if known else licence, "pretty_name": title,
            "task_categories": ["image-feature-extraction", "robotics", "other"], "language": ["en"],
            "tags": ["cross-view-geo-localization", "visual-localization", "geolocation", "aerial-imagery", "street-view",
                     "autoregressive-zooming", "justzoomin"],
            "size_categories": [next((words for limit, words in _SIZES if total < limit), "10M<n<100M")],
            "configs": [{"config_name": "default", "data_files": files}]}


def _tables(dataset: Dataset) -> str:
    tables = photo_tables(dataset, [dataset.split(name) for name in dataset.split_paths])
    parts = ["Split tables, `metadata/`:\n", "| field | description |", "|---|---|"]
    parts += [f"| `{name}` | {_COLUMNS[name]} |" for name in ("image_id", "sequence", "latitude", "longitude")]
    extra: dict[str, list[str]] = {}
    for name, table in tables.items():
        for column in table.columns:
            if column not in ("image_id", "sequence", "latitude", "longitude"):
                extra.setdefault(column, []).append(name)
    if extra:
        parts += ["", "Further fields:\n", "| field | description | in |", "|---|---|---|"]
        parts += [f"| `{printable(column, 60)}` | {_COLUMNS.get(column, 'see the table')} | "
                  f"{', '.join(f'`{Path(name).stem}`' for name in names[:3])} |" for column, names in sorted(extra.items())]
    return "\n".join(parts) + "\n"


def _citation(root: Path) -> str:
    for name in ("CITATION.bib", "CITATION.cff", "CITATION"):
        path = root / name
        if path.is_file():
            return f"```text\n{read_limited(path, _MAX_CITATION).decode('utf-8', 'replace').strip()}\n```\n"
    return f"The layout and the task are those of this paper:\n\n{_PAPER}"


def _pictures(dataset: Dataset, samples: int, seed: int) -> list[Path]:
    """Draw the sheet of samples, and the zoom of the first one."""
    split = next((name for name in ("val", *dataset.split_paths) if name in dataset.split_paths), None)
    records = None if split is None else dataset.split(split)
    if split is None or records is None or not len(records):
        raise DataError(dataset.root, "there are no photos to show", "Add a split table.")
    pictures = ViewPictures(GridViews(dataset.map, dataset.grid, _PIXELS))
    true, cases = dataset.sequences(split), []
    for at in sorted(Random(seed).sample(range(len(records)), min(samples, len(records)))):
        image_id = records.image_ids[at]
        photo = decode_photo(dataset.photos.read(image_id), dataset.photos.where(image_id), (_PHOTO_PIXELS, _PHOTO_PIXELS))
        path = tuple(int(action) for action in true[at])
        cases.append(build_case(image_id, photo, pictures, path, ()))
    credit = dataset.attribution()
    return [save_figure(sheet(cases, credit, "Samples: photo, and the views along its true path"), dataset.root / SHEET),
            write_bytes(dataset.root / ZOOM, zoom_gif(cases[0], credit), dataset.root)]


def _parquet_twins(dataset: Dataset) -> list[Path]:
    """Write a Parquet file beside each split table that has none."""
    written: Sequence[Path] = []
    for path in dataset.split_paths.values():
        twin = path.with_suffix(".parquet")
        if path.suffix == ".csv" and not twin.exists():
            content = io.BytesIO()
            dataset.split(next(name for name, of in dataset.split_paths.items() if of == path)).table.write_parquet(content)
            written = [*written, write_bytes(twin, content.getvalue(), dataset.root)]
    return list(written)
