"""Texts are plain English: the worst patterns occur neither in errors, help and docstrings nor on the pages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import PAGES, PROJECT

SOURCES = sorted((PROJECT / "src" / "justzoomin").rglob("*.py"))
PATTERNS = {
    r"(?<![Tt]here )\b(?:is|are) no (?!longer|more\b|fewer\b|less\b|better\b|worse\b|data\b)[a-z]":
        "say what it is, or what is wrong with it",
    r"(?<![Tt]here )\b(?:is|are) none\b": "say what it is, or what is wrong with it",
    r"\bstands?\b(?! still| for)": "stored, located, listed, written",
    r"\banew\b|\bafresh\b": "again",
    r"\bof before\b": "previous",
    r"\bif not said\b": "default: ...",
    r"\banother than\b": "a different ... from",
    r"\bdealt out\b|\bput back\b": "the field's word",
    r"\bin the place of\b": "instead of, for",
}


def worst(text: str) -> list[str]:
    """What of the patterns a text has, with the words around it."""
    text = " ".join(text.split())
    return [f"{text[max(0, found.start() - 30):found.end() + 20]!r}: {remedy}" for pattern, remedy in PATTERNS.items()
            for found in re.finditer(pattern, text)]


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The texts in a file's code, those with values in them as one text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def test_texts_of_the_code() -> None:
    wrong = [f"{path.relative_to(PROJECT)}:{line}: {found}" for path in SOURCES for line, text in strings(path)
             for found in worst(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pages(page: Path) -> None:
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    wrong = [found for paragraph in prose.split("\n\n") for found in worst(paragraph)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("text", ["'foo' is none", "60 seconds at -1 m/s are no way", "its georeference is no plane grid",
                                  "the photo is another than the one in X", "15 m/s if not said", "Save the checkpoint anew"])
def test_the_patterns_find_what_they_are_for(text: str) -> None:
    assert worst(text)


@pytest.mark.parametrize("text", ["there is no such file", "it is no longer than 5 m", "a camera that stands still"])
def test_the_patterns_let_plain_english_pass(text: str) -> None:
    assert not worst(text)
