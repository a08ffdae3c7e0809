"""Fetch the libraries of the page, pinned and checked: `python scripts/vendor_page.py`."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

VENDOR = Path(__file__).resolve().parent.parent / "src/justzoomin/apps/server/page/vendor"
REGISTRY = "https://registry.npmjs.org"


class Package(NamedTuple):
    """A package of the npm registry and the files that the page uses.

    Attributes:
        name: Name of the package.
        version: Version.
        sha256: Of its archive.
        files: Paths in the archive, the names that they get here, and their SHA-256.
    """

    name: str
    version: str
    sha256: str
    files: tuple[tuple[str, str, str], ...]


PACKAGES = (
    Package("ol", "10.11.0", "9e8377871c10e1299a8a302be847de3b8f1060a6d31063b90e84363c7e060477", (
        ("package/dist/ol.js", "ol/ol.js", "a4e607e98b56846d543e2131161720845c7a80170d5f00aa2bc8b6c4e0f9194a"),
        ("package/ol.css", "ol/ol.css", "abc8afd72cc10bd29cc143f443bae4a6804bd3cb3fb262e6b6a6bc6c924ea34f"),
        ("package/LICENSE.md", "ol/LICENSE.md", "6c4347b83a8c9feef18d57b18e3b6c44cf901b3c344a4a1fbd837e421555ab8e"),
    )),
    Package("swagger-ui-dist", "5.17.14", "c57badf459aa6e65cc036b3862d0502a63f9a22546407ffcb0e64f85f816bb28", (
        ("package/swagger-ui-bundle.js", "swagger-ui/swagger-ui-bundle.js",
         "c2e4a9ef08144839ff47c14202063ecfe4e59e70a4e7154a26bd50d880c88ba1"),
        ("package/swagger-ui.css", "swagger-ui/swagger-ui.css",
         "40170f0ee859d17f92131ba707329a88a070e4f66874d11365e9a77d232f6117"),
        ("package/LICENSE", "swagger-ui/LICENSE", "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
        ("package/NOTICE", "swagger-ui/NOTICE", "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2"),
    )),
)
"""Tiles come in web mercator, which OpenLayers knows, so no library for other projections is needed."""


def fetch(package: Package) -> None:
    """Write the files of a package.

    Raises:
        SystemExit: If the archive or a file differs from what is pinned.
    """
    with urllib.request.urlopen(f"{REGISTRY}/{package.name}/-/{package.name}-{package.version}.tgz", timeout=60) as answer:
        archive = answer.read()
    _require(archive, package.sha256, f"{package.name}-{package.version}.tgz")
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for path, name, sha256 in package.files:
            member = members.extractfile(path)
            content = b"" if member is None else member.read()
            _require(content, sha256, path)
            (VENDOR / name).parent.mkdir(parents=True, exist_ok=True)
            (VENDOR / name).write_bytes(content)
            print(f"{VENDOR.name}/{name}: {len(content):,} bytes")


def _require(content: bytes, sha256: str, name: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{name}: the SHA-256 is {found}, not {sha256}. Check the version and update this script.")


if __name__ == "__main__":
    for wanted in PACKAGES:
        fetch(wanted)
