"""One repository on the hub at one commit: what it holds, its card, and its small files."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HFValidationError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # it is there, named at run time

from justzoomin.errors import ConfigError, DataError
from justzoomin.hub.retry import Retry, patiently
from justzoomin.maps import FileStamp, plain_path

PUBLIC_ENDPOINT = "https://huggingface.co"
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """A dataset repository at a commit.

    Args:
        repo_id: `owner/name`.
        commit: The commit.
        endpoint: Address of the hub.
        files: Every file with size and hash, by path.
        licence: What the card says, or "not stated".
    """

    repo_id: str
    commit: str
    endpoint: str
    files: dict[str, FileStamp]
    licence: str

    @classmethod
    def look_up(cls, repo_id: str, revision: str, endpoint: str | None, retry: Retry) -> Source:
        """Resolve a revision to its commit and list the files there.

        Raises:
            DataError: If the hub cannot be reached, has no such repository, or lists names that no folder should hold.
            ConfigError: If the repository's id is none.
        """
        base = (endpoint or constants.ENDPOINT).rstrip("/")
        api, where = HfApi(endpoint=base, library_name="justzoomin"), f"{repo_id}@{revision}"
        try:
            info = patiently(lambda: api.dataset_info(repo_id, revision=revision, timeout=_timeout()), retry, where)
            commit = info.sha or ""
            if not (commit and len(commit) <= 64 and commit.isalnum()):
                raise DataError(where, "the hub names no commit", "Check HF_ENDPOINT.")
            entries = patiently(lambda: list(api.list_repo_tree(repo_id, revision=commit, recursive=True,
                                                                repo_type="dataset")), retry, where)
        except HFValidationError as error:
            raise ConfigError(f"--repo-id {repo_id!r}", "that is no repository's id", "Write owner/name.") from error
        files = _stamps((e for e in entries if isinstance(e, RepoFile)), where)
        return cls(repo_id, commit, base, files, _licence(info))

    def url(self, path: str) -> str:
        """Where a file is fetched from."""
        return hf_hub_url(self.repo_id, path, repo_type="dataset", revision=self.commit, endpoint=self.endpoint)

    def where(self, path: str) -> str:
        """A file's name for messages."""
        return f"{self.repo_id}@{self.commit[:8]}: {path}"

    def small_file(self, path: str, retry: Retry) -> bytes | None:
        """The content of a small file, checked; None where the repository has none of that name.

        Raises:
            DataError: If it is large, cannot be had, or is not what the hub lists.
        """
        stamp = self.files.get(path)
        if stamp is None:
            return None
        if stamp.size > _SMALL_BYTES:
            raise DataError(self.where(path), f"it has {stamp.size} bytes", f"Such files have up to {_SMALL_BYTES}.")

        def get() -> bytes:
            with get_session().stream("GET", self.url(path), headers=request_headers(), timeout=_timeout()) as response:
                hf_raise_for_status(response)
                content = b""
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > stamp.size:
                        break
                return content

        for _ in range(3):
            content = patiently(get, retry, self.where(path))
            if len(content) == stamp.size and digest_of_bytes(content, stamp.algorithm) == stamp.digest:
                return content
        raise DataError(self.where(path), f"what the hub sends has {len(content)} bytes and {stamp.algorithm} "
                        f"{digest_of_bytes(content, stamp.algorithm)}, its list says {stamp.size} and {stamp.digest}",
                        "Run again later; if it stays so, tell the repository's owners.")


def digest_of_bytes(content: bytes, algorithm: str) -> str:
    """The hash of a content by one of `FileStamp`'s algorithms."""
    if algorithm == "sha256":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def request_headers() -> dict[str, str]:
    """Headers of a request for a file: the client's own and its token; no compression, so that bytes can be counted."""
    return {**build_hf_headers(library_name="justzoomin"), "Accept-Encoding": "identity"}


def _timeout() -> float:
    return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def _stamps(entries: Iterable[RepoFile], where: str) -> dict[str, FileStamp]:
    """Size and hash of every listed file, after a look at the names."""
    files: dict[str, FileStamp] = {}
    seen: dict[str, str] = {}
    for entry in entries:
        name = entry.path
        if not plain_path(name):
            raise DataError(where, f"the repository lists {name!r:.200}, a path that does not stay in its folder or that "
                            "not every system can hold", "Nothing was fetched. Tell the repository's owners.")
        key = unicodedata.normalize("NFC", name).casefold()
        if seen.setdefault(key, name) != name or name in files:
            raise DataError(where, f"{name!r} and {seen[key]!r} differ by case or Unicode form only, if at all",
                            "On many file systems they are one file. Nothing was fetched. Tell the repository's owners.")
        try:
            files[name] = (FileStamp(entry.lfs.size, "sha256", entry.lfs.sha256) if entry.lfs is not None
                           else FileStamp(entry.size, "git-sha1", entry.blob_id))
        except (TypeError, ValueError) as error:
            raise DataError(f"{where}: {name}", f"the hub lists it without size and hash ({error})",
                            "Check HF_ENDPOINT.") from error
    for name in files:  # a file where another one's folder must be
        for at in (i for i, letter in enumerate(name) if letter == "/"):
            if unicodedata.normalize("NFC", name[:at]).casefold() in seen:
                raise DataError(where, f"{name[:at]!r} is listed as a file and as a folder",
                                "Nothing was fetched. Tell the repository's owners.")
    return files


def _licence(info: Any) -> str:
    card = getattr(info, "card_data", None)
    stated = getattr(card, "license", None) if card is not None else None
    if stated is None:
        stated = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    text = ", ".join(map(str, stated)) if isinstance(stated, list | tuple) else str(stated)
    return clean_text(text)[:200] or "not stated"


def clean_text(text: str) -> str:
    """Text from outside without control characters, which could write over a terminal's lines."""
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter)[0] != "C").strip()
