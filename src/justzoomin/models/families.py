"""The families of models by name: what is known of each before its class is imported."""

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
        name: What the setting `family` calls it.
        model: Its class, a subclass of `MapModel` with the same `family`; or `module:Class`, which is imported when the first
            model of the family is built.
        uses: Which of the settings `decoder`, `matcher` and `retriever` its models are built from. The fingerprint leaves out
            a decoder or retriever that is not used.
        most_cells: Terminal cells that a model may have, where its weights hold something for each of them; None where they
            do not.
    """

    name: str
    model: type[Any] | str
    uses: frozenset[Part] = frozenset({"retriever"})
    most_cells: int | None = None

    def load(self) -> type[Any]:
        """Return the class, imported if it was not yet."""
        found: type[Any] = pkgutil.resolve_name(self.model) if isinstance(self.model, str) else self.model
        return found


_FAMILIES: dict[str, Family] = {}


def register_family(family: Family, *, replace: bool = False) -> None:
    """Make a family known: its name is then a setting, and its models are built, saved and opened like all others.

    Args:
        family: The family.
        replace: Whether it may take the place of another one of its name.

    Raises:
        ModelError: If there is a family of this name already.
    """
    if family.name in _FAMILIES and not replace:
        raise ModelError("family", f"there is a family {family.name!r} already", "Choose another name, or pass replace=True.")
    _FAMILIES[family.name] = family


def known_families() -> tuple[str, ...]:
    """Return the names of all registered families."""
    return tuple(_FAMILIES)


def family_of(name: str) -> Family:
    """Return the family of a name.

    Raises:
        ModelError: If it is not registered.
    """
    if name not in _FAMILIES:
        raise ModelError("family", f"unknown family {name[:60]!r}",
                         f"Choose one of: {', '.join(_FAMILIES)}. One of your own is known once its module is imported.")
    return _FAMILIES[name]


for _family in (
    Family("zoom", "justzoomin.models.zoom_model:ZoomModel", frozenset({"decoder", "matcher"})),
    Family("retriever", "justzoomin.models.retriever:DualEncoder"),
    Family("hierarchical", "justzoomin.models.hierarchical:HierarchicalRetriever"),
    Family("classifier", "justzoomin.models.classifier:CellClassifier", most_cells=1 << 24),
):
    register_family(_family)
