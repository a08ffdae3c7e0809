"""The task that trains a model of each family."""

from __future__ import annotations

from collections.abc import Sequence

from justzoomin.errors import ModelError
from justzoomin.maps import GridViews, LayerViews
from justzoomin.models import CellClassifier, DualEncoder, HierarchicalRetriever, MapModel, ZoomModel
from justzoomin.search import views_of
from justzoomin.training.classifier_task import ClassifierTask
from justzoomin.training.config import TrainConfig
from justzoomin.training.maps import TrainingMaps
from justzoomin.training.match_task import MatchTask
from justzoomin.training.mining import Miner
from justzoomin.training.prefix_cache import PrefixCache
from justzoomin.training.retrieval_task import RetrievalTask
from justzoomin.training.task import Task
from justzoomin.training.zoom_task import ZoomTask


def task_for(model: MapModel, config: TrainConfig, maps: TrainingMaps, views: Sequence[GridViews], total_steps: int,
             miner: Miner, prefix: PrefixCache | None, fused: bool) -> Task:
    """The task of a model's family.

    Args:
        model: The model.
        config: The run's settings.
        maps: The maps of the run.
        views: The views of each map's grid, for a zoomer.
        total_steps: Optimizer steps of the whole run.
        miner: The photos to train on and their sampler.
        prefix: Kept outputs of the encoder's frozen part, for a zoomer.
        fused: Whether the optimizer's step is one kernel.
    """
    if isinstance(model, ZoomModel) and model.matcher is not None:
        return MatchTask(model, config, views, maps.windows(model.matcher.config),
                         maps.places(config.train_split, model.matcher.config), maps.bearings(config.train_split),
                         total_steps, fused)
    if isinstance(model, ZoomModel):
        return ZoomTask(model, config, views, total_steps, prefix, fused)
    if isinstance(model, DualEncoder | HierarchicalRetriever):
        layers = [found for each in maps.datasets if isinstance(found := views_of(model, each.map, each.grid), LayerViews)]
        return RetrievalTask(model, config, layers, total_steps, miner, fused)
    assert isinstance(model, CellClassifier)
    return ClassifierTask(model, config, views, total_steps, fused)


def check_family(model: MapModel, config: TrainConfig, maps: TrainingMaps) -> None:
    """Refuse what a family cannot do, before the first step.

    Raises:
        ModelError: If a classifier is to know several maps, a kept prefix is asked of another family than zoom, or a model to
            start from has another number of levels than the maps' grids.
    """
    if isinstance(model, CellClassifier) and len(maps.datasets) > 1:
        raise ModelError("model.family", f"a classifier knows the cells of one map, and {len(maps.datasets)} are given",
                         "Train it on one dataset.")
    if config.prefix_cache is not None and config.model.matcher is not None:
        raise ModelError("prefix_cache", "a model with a ray matcher needs more of its encoder than what is kept",
                         "Set prefix_cache=null.")
    if config.prefix_cache is not None and not isinstance(model, ZoomModel):
        raise ModelError("prefix_cache", f"it is for the family zoom, and this model is of the family {model.config.family}",
                         "Set prefix_cache=null.")
    if not isinstance(model, ZoomModel) and model.config.depth != maps.grid.depth and not isinstance(model, DualEncoder):
        raise ModelError("init", f"the model to start from knows {model.config.depth} levels, the grid has {maps.grid.depth}",
                         "Start from a model of the same depth, or from none.")
