"""The same encoder weights under the names of different transformers versions."""

from __future__ import annotations

from collections.abc import Container
from typing import TypeVar

T = TypeVar("T")

# Names in the DINOv2 and ViT families. Left: up to transformers 4. Right: since transformers 5.
_RENAMED = (
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
)
_RENAMED_VIT = (
    (".encoder.layer.", ".layers."),
    *_RENAMED,
    (".intermediate.dense.", ".mlp.fc1."),
    (".output.dense.", ".mlp.fc2."),
)


def match_names(tensors: dict[str, T], wanted: Container[str]) -> dict[str, T]:
    """Rename tensors to the names that the installed transformers uses.

    Args:
        tensors: Values by the names under which they were saved.
        wanted: The names that the installed version uses.

    Returns:
        The same values, each under a wanted name if a known renaming leads to it, otherwise under its own name.
    """
    return {_wanted_name(name, wanted): value for name, value in tensors.items()}


def _wanted_name(name: str, wanted: Container[str]) -> str:
    if name in wanted:
        return name
    for table in (_RENAMED, _RENAMED_VIT):
        newer, older = name, name
        for old, new in table:
            newer = newer.replace(old, new)
        for old, new in reversed(table):
            older = older.replace(new, old)
        for candidate in (newer, older):
            if candidate in wanted:
                return candidate
    return name
