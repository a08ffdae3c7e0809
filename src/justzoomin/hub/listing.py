"""The hub's answers about a repository: its facts and its list of files, read within limits and checked."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from huggingface_hub import constants, get_session, hf_raise_for_status
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it is there, named at run time

from justzoomin.archives import FileStamp, plain_path
from justzoomin.errors import DataError
from justzoomin.hub.retry import Retry, with_retries
from justzoomin.untrusted import printable

MAX_FILES = 300_000
MAX_PAGES = 3_000
MAX_ANSWER_BYTES = 16 << 20
_NOT_THE_HUB = "Check HF_ENDPOINT: this answer does not come from a hub."
_OWNERS = "Nothing was fetched. Tell the repository's owners."


def facts_of(base: str, repo_id: str, revision: str, retry: Retry, where: str) -> dict[str, Any]:
    """Return what the hub says about a repository at a revision: `sha`, `cardData`, `tags` and more.

    Raises:
        DataError: If there is no answer, or it is not a JSON object, or it names no commit.
    """
    facts, _ = _answer(f"{_address(base, repo_id)}/revision/{quote(revision, safe='')}", retry, where)
    commit = facts.get("sha") if isinstance(facts, dict) else None
    if not (isinstance(commit, str) and 0 < len(commit) <= 64 and commit.isascii() and commit.isalnum()):
        raise DataError(where, "the hub's answer names no commit", _NOT_THE_HUB)
    return dict(facts)


def files_of(base: str, repo_id: str, commit: str, retry: Retry, where: str) -> dict[str, FileStamp]:
    """Return size and hash of every file at a commit, by path.

    Raises:
        DataError: If the list cannot be fetched, has entries that are neither files nor folders, has names that are unsafe in
            a folder, or does not end.
    """
    return _stamps(_entries(f"{_address(base, repo_id)}/tree/{commit}", retry, where), where)


def _address(base: str, repo_id: str) -> str:
    return f"{base}/api/datasets/{repo_id}"


def _entries(address: str, retry: Retry, where: str) -> Iterator[object]:
    """Yield the entries of a list, page after page."""
    query = "recursive=True"
    for _ in range(MAX_PAGES):
        page, after = _answer(f"{address}?{query}", retry, where)
        if not isinstance(page, list):
            raise DataError(where, f"the hub answered {printable(page, 80)!r} instead of a list of files", _NOT_THE_HUB)
        yield from page
        if after is None:
            return
        query = urlsplit(after).query  # never another server: the request carries the token
    raise DataError(where, f"the hub's list of files has more than {MAX_PAGES} pages", _OWNERS)


def _answer(url: str, retry: Retry, where: str) -> tuple[Any, str | None]:
    """Return the JSON at an address, and the address of the next page."""
    def get() -> tuple[bytes, str | None]:
        with get_session().stream("GET", url, headers=request_headers(), timeout=timeout()) as response:
            hf_raise_for_status(response)
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise DataError(where, f"the hub's answer has more than {MAX_ANSWER_BYTES} bytes", _NOT_THE_HUB)
            return bytes(content), response.links.get("next", {}).get("url")

    content, after = with_retries(get, retry, where)
    try:
        return json.loads(content), after
    except (ValueError, RecursionError) as error:
        raise DataError(where, f"the hub's answer is not JSON ({printable(error, 80)})", _NOT_THE_HUB) from error


def request_headers() -> dict[str, str]:
    """Return the headers of a file request: the client's own and its token, without compression, so bytes can be counted."""
    return {**build_hf_headers(library_name="justzoomin"), "Accept-Encoding": "identity"}


def timeout() -> float:
    """Return how many seconds the hub may stay silent."""
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def _stamps(entries: Iterable[object], where: str) -> dict[str, FileStamp]:
    """Check the names of all listed files, and return their sizes and hashes."""
    files: dict[str, FileStamp] = {}
    seen: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, dict) and entry.get("type") == "directory":
            continue
        if not isinstance(entry, dict) or entry.get("type") != "file" or not isinstance(entry.get("path"), str):
            raise DataError(where, f"the hub lists {printable(entry, 80)!r}, neither a file nor a folder", _NOT_THE_HUB)
        name = entry["path"]
        if not plain_path(name):
            raise DataError(where, f"the repository lists {name!r:.200}: "
                            "the path leads out of its folder or is invalid on some systems", _OWNERS)
        key = unicodedata.normalize("NFC", name).casefold()
        if seen.setdefault(key, name) != name or name in files:
            raise DataError(where, f"{name!r} and {seen[key]!r} are equal except for case or Unicode form",
                            f"On many file systems they are the same file. {_OWNERS}")
        files[name] = _stamp(entry, f"{where}: {name}")
        if len(files) > MAX_FILES:
            raise DataError(where, f"the hub lists more than {MAX_FILES} files", "Check --repo-id: a dataset has far fewer.")
    for name in files:  # a file with the name of another file's folder
        for at in (i for i, letter in enumerate(name) if letter == "/"):
            if unicodedata.normalize("NFC", name[:at]).casefold() in seen:
                raise DataError(where, f"{name[:at]!r} is listed as a file and as a folder", _OWNERS)
    return files


def _stamp(entry: dict[str, Any], where: str) -> FileStamp:
    lfs = entry.get("lfs")
    try:
        if lfs is not None:
            return FileStamp(lfs["size"], "sha256", lfs["oid"])
        return FileStamp(entry["size"], "git-sha1", entry["oid"])
    except (TypeError, ValueError, LookupError) as error:
        raise DataError(where, f"the hub lists it without size and hash ({printable(error, 200)})", _NOT_THE_HUB) from error
