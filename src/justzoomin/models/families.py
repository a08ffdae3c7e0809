"""The families of models by name, with the facts that are known before a class is imported."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from typing import Any, Literal

from justzoomin.errors import ModelError

Part = Literal["decoder", "matcher", "retriever"]


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        name: Its name in the setting `family`.
        model: Its class, a subclass of `MapModel` with the same `family`; or `module:Class`, which is imported when the first
            model of the family is built.
        uses: Which of the settings `decoder`, `matcher` and `retriever` its models are built from. The fingerprint leaves out
            a decoder or retriever that is not used.
        most_cells: Most terminal cells of a model whose weights hold something for each cell; None if they do not.
    """

    name: str
    model: type[Any] | str
    uses: frozenset[Part] = frozenset({"retriever"})
    most_cells: int | None = None

    def load(self) -> type[Any]:
        """Return the class; import it if needed."""
        found: type[Any] = pkgutil.resolve_name(self.model) if isinstance(self.model, str) else self.model
        return found


GROUP = "justzoomin.families"
"""Entry points of installed packages: with `my-family = "module"`, the module that registers it is imported when needed."""
_FAMILIES: dict[str, Family] = {}


def register_family(family: Family, *, replace: bool = False) -> None:
    """Register a family: its name is then a setting, and its models are built, saved and opened like all others.

    Args:
        family: The family.
        replace: Whether it may replace a family of the same name.

    Raises:
        ModelError: If a family of this name exists already.
    """
    if family.name in _FAMILIES and not replace:
        raise ModelError("family", f"a family {family.name!r} exists already", "Choose another name, or pass replace=True.")
    _FAMILIES[family.name] = family


def known_families() -> tuple[str, ...]:
    """Return the names of all registered families."""
    return tuple(_FAMILIES)


def family_of(name: str) -> Family:
    """Return the family of a name; an installed package that adds it is imported.

    Raises:
        ModelError: If it is not registered, or the package that adds it cannot be imported.
    """
    if name not in _FAMILIES:
        _import_added(name)
    if name not in _FAMILIES:
        raise ModelError("family", f"unknown family {name[:60]!r}",
                         f"Choose one of: {', '.join(_FAMILIES)}. For your own family, import its module first, or install it "
                         f"with an entry point of the group {GROUP}.")
    return _FAMILIES[name]


def _import_added(name: str) -> None:
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP, name=name):
        try:
            point.load()
        except (ImportError, AttributeError) as error:
            raise ModelError(f"{GROUP}: {name[:60]}", f"{point.value} cannot be loaded ({error})",
                             "Install the package that adds it again, or uninstall it.") from error


for _family in (
    Family("zoom", "justzoomin.models.zoom_model:ZoomModel", frozenset({"decoder", "matcher"})),
    Family("retriever", "justzoomin.models.retriever:DualEncoder"),
    Family("hierarchical", "justzoomin.models.hierarchical:HierarchicalRetriever"),
    Family("classifier", "justzoomin.models.classifier:CellClassifier", most_cells=1 << 24),
):
    register_family(_family)
