"""The tasks that train the families of models, by name."""

from __future__ import annotations

import pkgutil

from justzoomin.errors import ModelError
from justzoomin.models import MapModel
from justzoomin.training.config import TrainConfig
from justzoomin.training.maps import TrainingMaps
from justzoomin.training.task import Task

_TASKS: dict[tuple[str, bool], type[Task] | str] = {}


def register_task(family: str, task: type[Task] | str, *, matcher: bool = False, replace: bool = False) -> None:
    """Say how a family of models is trained.

    Args:
        family: Name of the family.
        task: A subclass of `Task`; or `module:Class`, which is imported when the first such model is trained.
        matcher: Whether it is for the family's models with a ray matcher, or for those without.
        replace: Whether it may take the place of another one.

    Raises:
        ModelError: If the family has a task already.
    """
    if (family, matcher) in _TASKS and not replace:
        raise ModelError("family", f"the family {family!r} has a task already", "Pass replace=True to train it otherwise.")
    _TASKS[family, matcher] = task


def task_of(model: MapModel) -> type[Task]:
    """Return the task that trains a model.

    Raises:
        ModelError: If none is registered for its family.
    """
    found = _TASKS.get((model.family, model.matcher is not None))
    if found is None:
        what = f"the family {model.family!r}" + (" with a ray matcher" if model.matcher is not None else "")
        raise ModelError("family", f"no task trains {what}", "Register one with justzoomin.training.register_task.")
    task: type[Task] = pkgutil.resolve_name(found) if isinstance(found, str) else found
    return task


def check_family(model: MapModel, task: type[Task], config: TrainConfig, maps: TrainingMaps) -> None:
    """Refuse what a family cannot do, before the first step.

    Raises:
        ModelError: If a model of one map is to know several, a kept prefix is asked of a task that keeps none, or a model to
            start from has another number of levels than the maps' grids.
    """
    if model.one_map and len(maps.datasets) > 1:
        raise ModelError("model.family", f"a {model.family} knows the cells of one map, and {len(maps.datasets)} are given",
                         "Train it on one dataset.")
    if config.prefix_cache is not None and config.model.matcher is not None:
        raise ModelError("prefix_cache", "a model with a ray matcher needs more of its encoder than what is kept",
                         "Set prefix_cache=null.")
    if config.prefix_cache is not None and not task.keeps_prefix:
        raise ModelError("prefix_cache", f"the training of the family {model.family} keeps no outputs of frozen blocks",
                         "Set prefix_cache=null.")
    if not model.any_depth and model.config.depth != maps.grid.depth:
        raise ModelError("init", f"the model to start from knows {model.config.depth} levels, the grid has {maps.grid.depth}",
                         "Start from a model of the same depth, or from none.")


register_task("zoom", "justzoomin.training.zoom_task:ZoomTask")
register_task("zoom", "justzoomin.training.match_task:MatchTask", matcher=True)
register_task("retriever", "justzoomin.training.dual_task:DualTask")
register_task("hierarchical", "justzoomin.training.hierarchical_task:HierarchicalTask")
register_task("classifier", "justzoomin.training.classifier_task:ClassifierTask")
