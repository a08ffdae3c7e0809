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
    """Register the task that trains a family of models.

    Args:
        family: Name of the family.
        task: A subclass of `Task`; or `module:Class`, which is imported when the first such model is trained.
        matcher: Whether the task is for the family's models with a ray matcher, or for its models without one.
        replace: Whether it may replace a registered task.

    Raises:
        ModelError: If the family already has a task.
    """
    if (family, matcher) in _TASKS and not replace:
        raise ModelError("family", f"the family {family!r} already has a task", "Pass replace=True to replace it.")
    _TASKS[family, matcher] = task


def task_of(model: MapModel) -> type[Task]:
    """Return the task that trains a model.

    Raises:
        ModelError: If no task is registered for its family.
    """
    found = _TASKS.get((model.family, model.matcher is not None))
    if found is None:
        what = f"the family {model.family!r}" + (" with a ray matcher" if model.matcher is not None else "")
        raise ModelError("family", f"no task trains {what}", "Register a task with justzoomin.training.register_task.")
    task: type[Task] = pkgutil.resolve_name(found) if isinstance(found, str) else found
    return task


def check_family(model: MapModel, task: type[Task], config: TrainConfig, maps: TrainingMaps) -> None:
    """Refuse settings that a family does not support, before the first step.

    Raises:
        ModelError: If a model for one map gets several, the task cannot keep outputs of frozen blocks, or the model to start
            from has a different number of levels from the maps' grids.
    """
    if model.one_map and len(maps.datasets) > 1:
        raise ModelError("model.family", f"a {model.family} knows the cells of one map, but {len(maps.datasets)} were given",
                         "Train it on one dataset.")
    if config.prefix_cache is not None and config.model.matcher is not None:
        raise ModelError("prefix_cache", "a model with a ray matcher needs more of its encoder than the kept outputs",
                         "Set prefix_cache=null.")
    if config.prefix_cache is not None and not task.keeps_prefix:
        raise ModelError("prefix_cache", f"the training of the family {model.family} cannot keep outputs of frozen blocks",
                         "Set prefix_cache=null.")
    if not model.any_depth and model.config.depth != maps.grid.depth:
        raise ModelError("init", f"the model to start from has {model.config.depth} levels, but the grid has {maps.grid.depth}",
                         "Start from a model of the same depth, or leave init out.")


register_task("zoom", "justzoomin.training.zoom_task:ZoomTask")
register_task("zoom", "justzoomin.training.match_task:MatchTask", matcher=True)
register_task("retriever", "justzoomin.training.dual_task:DualTask")
register_task("hierarchical", "justzoomin.training.hierarchical_task:HierarchicalTask")
register_task("classifier", "justzoomin.training.classifier_task:ClassifierTask")
