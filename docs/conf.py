"""Settings of the documentation site: `make docs` builds it from these pages, with a reference made from the docstrings.

The pages stay plain Markdown that a code host shows. What only the site needs is added while it is built: the tables of
contents, the reference, and a start page.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from textwrap import indent
from typing import Any

DOCS = Path(__file__).resolve().parent
PROJECT = DOCS.parent
PACKAGE = PROJECT / "src" / "justzoomin"
sys.path.insert(0, str(PROJECT / "src"))

project = "justzoomin"
author = "the justzoomin developers"
copyright = f"2026, {author}"
version = release = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
exclude_patterns = ["conf.py", "demo"]
html_theme = "furo"
html_title = f"justzoomin {version}"
html_copy_source = False
html_show_sphinx = False
myst_heading_anchors = 4
default_role = "literal"
nitpicky = False
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False
python_use_unqualified_type_names = True
suppress_warnings = ["ref.python"]  # a name that two rooms offer

REFERENCE = DOCS / "reference"
"""Pages that are written here while the site is built; git ignores them."""
_LINK_OUT = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")
_TABLE_LINK = re.compile(r"\]\(([\w-]+)\.md[^)]*\)")


def rooms() -> list[tuple[str, dict[str, Path]]]:
    """Return the rooms with the names that their faces offer and the files of these, in the order of docs/architecture.md."""
    faces = {".".join(("justzoomin", *face.parent.relative_to(PACKAGE).parts)): face for face in PACKAGE.rglob("__init__.pyi")}
    listed = re.findall(r"^\| `([\w.]+)` \|", (DOCS / "architecture.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    order = {f"justzoomin.{name}": place for place, name in enumerate(listed)} | {"justzoomin": -1}
    return [(room, offered(faces[room])) for room in sorted(faces, key=lambda room: (order.get(room, len(order)), room))]


def offered(face: Path) -> dict[str, Path]:
    """Return the names that a room's face offers, and the file that each comes from."""
    lines = ast.parse(face.read_text(encoding="utf-8")).body
    return {alias.asname or alias.name: face.parent.joinpath(*str(line.module).split(".")).with_suffix(".py")
            for line in lines if isinstance(line, ast.ImportFrom) for alias in line.names}


def reference_page(room: str, names: dict[str, Path]) -> str:
    """Return the page of a room: its purpose, then its classes, functions and values."""
    module = importlib.import_module(room)
    title = room.removeprefix("justzoomin.")
    purpose = inspect.getdoc(module) or ""
    parts = [f"{title}\n{'=' * len(title)}\n", f"{purpose}\n", f".. code-block:: python\n\n   import {room}\n"]
    if room == "justzoomin":  # its names are those of rooms
        return "\n".join([*parts, *(f"- `{name}`, from {file.stem}" for name, file in names.items()), ""])
    kinds: dict[str, list[str]] = {"class": [], "function": [], "data": []}
    for name, file in names.items():
        value = getattr(module, name)
        kind = "class" if inspect.isclass(value) else "function" if inspect.isroutine(value) else "data"
        kinds[kind].append(f".. auto{kind}:: {room}.{name}\n" if kind == "function" else
                           f".. autoclass:: {room}.{name}\n   :members:\n   :show-inheritance:\n" if kind == "class" else
                           f".. py:data:: {room}.{name}\n{shown(value)}\n{indent(words_below(file, name), '   ')}\n")
    return "\n".join([*parts, *(text for texts in kinds.values() for text in texts)])


def shown(value: Any) -> str:
    """Return the option that shows a number or a text; other values are shown in the source."""
    return f"   :value: {value!r}\n" if isinstance(value, int | float | str) else ""


def words_below(file: Path, name: str) -> str:
    """Return the text below the assignment of a value; autodoc would show that of the value's class."""
    lines = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    for line, following in pairwise(lines):
        targets = line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            text = following.value if isinstance(following, ast.Expr) else None
            return inspect.cleandoc(text.value) if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
    return ""


def write_reference(_: Any) -> None:
    """Write the pages of the reference; pages that have not changed are left alone, so that they are not read again."""
    REFERENCE.mkdir(exist_ok=True)
    pages = {room.removeprefix("justzoomin.").replace(".", "-"): reference_page(room, names) for room, names in rooms()}
    toctree = "\n".join(["Reference", "=========", "", "The names that each room of the package offers.", "", ".. toctree::",
                         "   :maxdepth: 1", "", *(f"   {name}" for name in pages), ""])
    for name, text in {"index": toctree, **pages}.items():
        path = REFERENCE / f"{name}.rst"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in REFERENCE.glob("*.rst"):
        if path.stem not in {"index", *pages}:
            path.unlink()


def adapt_page(_: Any, name: str, source: list[str]) -> None:
    """Turn links to files outside the docs into plain names, and add the tables of contents to the start page."""
    source[0] = _LINK_OUT.sub(r"\1 (`\2` in the repository)", source[0])
    if name == root_doc:
        source[0] += "".join(f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n" + "\n".join(pages) + "\n```\n"
                             for title, pages in contents(source[0]).items())


def contents(start: str) -> dict[str, list[str]]:
    """Return the pages that each section of the start page lists, and the reference."""
    sections = re.split(r"^## (.+)$", start, flags=re.MULTILINE)[1:]
    found = {title: list(dict.fromkeys(_TABLE_LINK.findall(text)))
             for title, text in zip(sections[::2], sections[1::2], strict=True)}
    return {**found, "Reference": ["reference/index"]}


def write_start(app: Any, error: Exception | None) -> None:
    """Write index.html, which leads to the start page."""
    if error is None and app.builder.name == "html":
        page = f"{root_doc}.html"
        (Path(app.outdir) / "index.html").write_text(
            '<!doctype html><meta charset="utf-8"><title>justzoomin</title>'
            f'<meta http-equiv="refresh" content="0; url={page}"><a href="{page}">justzoomin</a>\n', encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the steps above to the build."""
    app.connect("builder-inited", write_reference)
    app.connect("source-read", adapt_page)
    app.connect("build-finished", write_start)
