"""Figures of comparisons show the comparison's values."""

import numpy as np
import pytest

from justzoomin.figures import comparison_figures, save_figure
from justzoomin.geometry import Region, ZoomGrid, grid_to_dict
from justzoomin.scoring import PredictionInfo, Tabulator, compare

GRID = ZoomGrid(Region(54.5, 3.0, (-200, 200), (-200, 200)), 4, 2)


def table(name: str, sharp: float, ms: float | None = 2.0):
    true = np.arange(5, 250, 8)
    scores = np.random.default_rng(0).normal(0, 1, (len(true), 256))
    scores[np.arange(len(true)), true] += sharp
    info = PredictionInfo(method=name, split="val", grid=grid_to_dict(GRID), search="posterior", confidence="cell",
                          attribution="Somebody")
    made = Tabulator(info, [f"p{k}" for k in true], np.stack(GRID.centres(GRID.unflatten(true, 2)), 1), true)
    made.add(scores, 17, ms)
    return made.table()


@pytest.fixture(scope="module")
def comparison():
    return compare([table("good", 4.0), table("poor $x$ \N{SNOWMAN}", 1.0, 9.0)])


def test_every_row_is_named_and_drawn(comparison, tmp_path):
    figures = comparison_figures(comparison)
    assert list(figures) == ["recall-radius", "recall-area", "reliability", "recall-cost"]
    for name, figure in figures.items():
        said = " ".join(text.get_text() for text in figure.texts)
        shown = ["good", "chance", "ceiling"] if name in {"recall-radius", "recall-area"} else ["good"]
        assert all(word in said for word in shown) and "Somebody" in said and f"{comparison.photos} photos" in said
        assert save_figure(figure, tmp_path / f"{name}.png").stat().st_size > 5000


def test_curves_show_the_figures_of_the_table(comparison):
    axes = comparison_figures(comparison)["recall-radius"].axes[0]
    good, poor = (np.array(line.get_xydata()) for line in axes.lines[:2])
    assert (np.diff(good[:, 1]) >= 0).all() and (good[:, 1] >= poor[:, 1]).all() and good[-1, 1] == 1
    near = np.searchsorted(good[:, 0], 40.0)
    assert good[near - 1, 1] <= comparison["good"].score.recall_at_m[40.0].value / 100 <= good[near, 1]


def test_unknown_values_are_not_drawn():
    quiet = table("quiet", 3.0, None)
    quiet = type(quiet)(**{**vars(quiet), "confidence": np.full(len(quiet), np.nan)})
    assert list(comparison_figures(compare([quiet]))) == ["recall-radius", "recall-area"]
