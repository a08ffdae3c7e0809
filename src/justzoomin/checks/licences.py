"""What a licence's name says about conditions. Facts about the well-known open licences, not advice."""

from __future__ import annotations

import re

_KNOWN = re.compile(r"\b(cc0|cc|creative ?commons|odbl|odc|pddl|public ?domain|mit|apache|bsd|ogl|open government|etalab)\b")


def conditions(name: str) -> list[str]:
    """Return the conditions that a licence's name states.

    They are `share-alike`, `no derivatives`, `non-commercial` and `all rights reserved`, or `unknown` if the name is not one
    of the well-known open licences.
    """
    text = re.sub(r"[\s_/]+", " ", name.strip().lower())
    parts = set(re.split(r"[^a-z0-9]+", text))
    found = []
    if "sa" in parts or "sharealike" in parts or re.search(r"share.?alike", text) or "odbl" in parts or "gpl" in parts:
        found.append("share-alike")
    if "nd" in parts or re.search(r"no.?deriv", text):
        found.append("no derivatives")
    if "nc" in parts or re.search(r"non.?commercial", text):
        found.append("non-commercial")
    if "all rights reserved" in text or "proprietary" in parts:
        found.append("all rights reserved")
    if not found and not _KNOWN.search(text.replace("-", " ")):
        found.append("unknown")
    return found


def names_licence(text: str) -> str | None:
    """Return the licence that a README or dataset card names: its front matter's `license`, else the first line with one."""
    front = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    if front:
        match = re.search(r"^licen[cs]e:\s*(.+)$", front[1], re.MULTILINE)
        if match and match[1].strip(" '\"[]-"):
            return match[1].strip(" '\"[]")
    for line in text.splitlines():
        if re.search(r"\bCC[ -]?(BY|0)|creative commons|public domain|\bODbL\b|\bApache[- ]2|\bMIT\b", line, re.IGNORECASE):
            return " ".join(line.strip(" #*-|").split())[:160]
    return None
