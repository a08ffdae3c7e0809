"""The rows of the accuracy benchmark: which model each is of, how it is trained and how it answers."""

from __future__ import annotations

from dataclasses import dataclass

EPOCHS = 6
"""Passes over the training photos of every model: the same budget of images for all."""


@dataclass(frozen=True)
class Training:
    """A model to train.

    Attributes:
        name: Its name.
        preset: The preset of `jzi train`.
        settings: What differs from the preset.
        home_only: Whether it can know the home town alone.
    """

    name: str
    preset: str
    settings: tuple[str, ...] = ()
    home_only: bool = False


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Attributes:
        name: What it is called.
        training: Name of the model.
        search: The search.
        decision: The decision; None for the search's own answer.
        zoom_weight: Weight of the zoomer beside a ray matcher.
    """

    name: str
    training: str
    search: str
    decision: str | None = None
    zoom_weight: float = 0.0


TRAININGS = {t.name: t for t in (
    Training("paper", "small"),
    Training("retriever", "retriever"),
    Training("retriever-contexts", "retriever", ("model.retriever.contexts=[1,4,16]",)),
    Training("hierarchical", "hierarchical"),
    Training("best", "best"),
    Training("classifier", "classifier", (), home_only=True),
)}

ROWS = (
    Row("paper, greedy", "paper", "greedy"),
    Row("paper, beam of 4", "paper", "beam:4"),
    Row("paper, posterior, within 40 m", "paper", "posterior", "within:40"),
    Row("retriever, best cell", "retriever", "posterior", "top"),
    Row("retriever, within 40 m", "retriever", "posterior", "within:40"),
    Row("retriever with contexts, within 40 m", "retriever-contexts", "posterior", "within:40"),
    Row("hierarchical, best cell", "hierarchical", "posterior", "top"),
    Row("hierarchical, within 40 m", "hierarchical", "posterior", "within:40"),
    Row("best with its zoomer, within 40 m", "best", "posterior", "within:40", 0.5),
    Row("best, best cell", "best", "posterior", "top"),
    Row("best, within 40 m", "best", "posterior", "within:40"),
    Row("classifier without a map, within 40 m", "classifier", "posterior", "within:40"),
)
REFERENCE = "best, within 40 m"
"""The row that the others are compared with."""

TESTS = {"within": "home", "disjoint": "home", "other": "other-*"}
"""Test sets and the towns whose photos they hold; in other towns the split is `val`."""
