"""The page's files: all there, nothing from elsewhere, nothing inline, the libraries as pinned. Without a browser."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import pytest

from justzoomin.apps.server.page_routes import PAGE

ROOT = Path(__file__).resolve().parents[2]
VENDOR = PAGE / "vendor"
OWN = sorted(path for path in PAGE.rglob("*") if path.is_file() and VENDOR not in path.parents)
HTML = [path for path in OWN if path.suffix == ".html"]
SCRIPTS = [path for path in OWN if path.suffix == ".js"]
SPRITE = (PAGE / "icons.svg").read_text()
MOST_BYTES = 4_000_000
NAMESPACE = "http://www.w3.org/2000/svg"


def outside(text: str) -> list[str]:
    """Return addresses of other servers."""
    return [found for found in re.findall(r"(?:[a-z]+:)?//[a-z0-9][^\s\"'`)<]*", re.sub(r"(?m)(^|\s)// .*$", "", text), re.I)
            if found != NAMESPACE]


def inline(html: str) -> list[str]:
    """Return what the content security policy forbids in HTML: scripts, styles and listeners without a file."""
    return re.findall(r"<script(?![^>]*\ssrc=)[^>]*>|<style\b|\sstyle\s*=|\son[a-z]+\s*=|javascript:", html, re.I)


def unsafe(script: str) -> list[str]:
    """Return ways in which text of others could become HTML or a program."""
    return re.findall(r"\b(?:inner|outer)HTML\s*\+?=(?!=)|insertAdjacentHTML|document\.write|\beval\(|new Function\(", script)


def references(html: str) -> list[str]:
    """Return the files that HTML names, without those of the server's routes."""
    return [name.partition("#")[0] for name in re.findall(r"\s(?:href|src)=\"([^\"#]+(?:#[^\"]*)?)\"", html) if name != "docs"]


def pinned() -> dict[str, str]:
    """Return the SHA-256 of every vendored file, by its path, from the script that fetches them."""
    spec = importlib.util.spec_from_file_location("vendor_page", ROOT / "scripts" / "vendor_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return {name: sha256 for package in script.PACKAGES for _, name, sha256 in package.files}


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere(path):
    assert outside(path.read_text()) == []


@pytest.mark.parametrize("text", ["<img src=\"https://example.org/a.png\">", "url(//example.org/font)", "fetch(`http://a.b/${c}`)"])
def test_addresses_of_others_are_noticed(text):
    assert outside(text)


@pytest.mark.parametrize("path", HTML, ids=lambda path: path.name)
def test_html_names_files_that_exist_and_has_nothing_inline(path):
    html = path.read_text()
    named = references(html)
    assert named and all(name.startswith("page/") and (PAGE / name.removeprefix("page/")).is_file() for name in named)
    assert inline(html) == []


@pytest.mark.parametrize("html", [
    "<script>a()</script>", "<p style=\"color: red\">", "<a onclick=\"b()\">", "<style>p {}</style>"])
def test_inline_scripts_and_styles_are_noticed(html):
    assert inline(html)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_import_files_that_exist_and_never_make_html_of_text(path):
    script = path.read_text()
    assert all((PAGE / name).is_file() for name in re.findall(r"from \"\./([^\"]+)\"", script))
    assert unsafe(script) == []
    assert unsafe(script + "\nbox.innerHTML = name;")


def test_every_icon_is_in_the_sprite():
    used = {name for path in SCRIPTS for name in re.findall(r"\bicon\(\"(\w+)\"", path.read_text())}
    used |= set(re.findall(r"icons\.svg#(\w+)", (PAGE / "index.html").read_text()))
    drawn = set(re.findall(r"<symbol id=\"(\w+)\"", SPRITE))
    assert len(used) > 10 and used <= drawn


def test_elements_that_scripts_ask_for_exist_once():
    html = (PAGE / "index.html").read_text()
    fixed = re.findall(r"\sid=\"([\w-]+)\"", html)
    made = {name for path in SCRIPTS for name in re.findall(r"\bid: \"([\w-]+)\"", path.read_text())}
    asked = {name for path in SCRIPTS for name in re.findall(r"\$\(\"([\w-]+)\"\)", path.read_text())}
    assert len(fixed) == len(set(fixed))
    assert len(asked) > 30 and asked <= {*fixed, *made}


def test_vendored_files_are_the_pinned_ones_with_their_licences():
    found = {path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
             for path in VENDOR.rglob("*") if path.is_file()}
    assert found == pinned()
    assert all(any(name.startswith(f"{folder.name}/LICENSE") for name in found) for folder in VENDOR.iterdir())


def test_the_page_is_small():
    assert sum(path.stat().st_size for path in PAGE.rglob("*") if path.is_file()) < MOST_BYTES
