"""One repository on the hub at one commit: its files, its card and its small files."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huggingface_hub import constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # it is there, named at run time

from justzoomin.archives import FileStamp
from justzoomin.errors import ConfigError, DataError
from justzoomin.hub.listing import facts_of, files_of, request_headers, timeout
from justzoomin.hub.retry import Retry, with_retries

PUBLIC_ENDPOINT = "https://huggingface.co"
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """A dataset repository at a commit.

    Args:
        repo_id: `owner/name`.
        commit: The commit's hash.
        endpoint: Address of the hub.
        files: Size and hash of every file, by path.
        licence: What the card states, or "not stated".
    """

    repo_id: str
    commit: str
    endpoint: str
    files: dict[str, FileStamp]
    licence: str

    @classmethod
    def look_up(cls, repo_id: str, revision: str, endpoint: str | None, retry: Retry) -> Source:
        """Resolve a revision to its commit and list the files of that commit.

        Raises:
            DataError: If the hub cannot be reached, does not have the repository, or lists names that are unsafe in a folder.
            ConfigError: If the repository's id is invalid.
        """
        base = (endpoint or constants.ENDPOINT).rstrip("/")
        where = f"{repo_id}@{revision}"
        try:
            validate_repo_id(repo_id)
        except HFValidationError as error:
            raise ConfigError(f"--repo-id {repo_id!r}", "the id of the repository is invalid", "Write owner/name.") from error
        facts = facts_of(base, repo_id, revision, retry, where)
        commit = str(facts["sha"])
        return cls(repo_id, commit, base, files_of(base, repo_id, commit, retry, where), _licence(facts))

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return hf_hub_url(self.repo_id, path, repo_type="dataset", revision=self.commit, endpoint=self.endpoint)

    def where(self, path: str) -> str:
        """Return a file's name for messages."""
        return f"{self.repo_id}@{self.commit[:8]}: {path}"

    def small_file(self, path: str, retry: Retry) -> bytes | None:
        """Return the checked content of a small file, or None if the repository does not have it.

        Raises:
            DataError: If the file is large, cannot be fetched, or differs from the hub's list.
        """
        stamp = self.files.get(path)
        if stamp is None:
            return None
        if stamp.size > _SMALL_BYTES:
            raise DataError(self.where(path), f"the file has {stamp.size} bytes",
                            f"The limit is {_SMALL_BYTES} bytes. Tell the repository's owners.")

        def get() -> bytes:
            with get_session().stream("GET", self.url(path), headers=request_headers(), timeout=timeout()) as response:
                hf_raise_for_status(response)
                content = b""
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > stamp.size:
                        break
                return content

        for _ in range(3):
            content = with_retries(get, retry, self.where(path))
            if len(content) == stamp.size and digest_of_bytes(content, stamp.algorithm) == stamp.digest:
                return content
        raise DataError(self.where(path), f"the hub sent {len(content)} bytes with {stamp.algorithm} "
                        f"{digest_of_bytes(content, stamp.algorithm)}, but lists {stamp.size} bytes with {stamp.digest}",
                        "Run again later; if the error persists, tell the repository's owners.")


def stamps_of(repo_id: str, revision: str) -> dict[str, FileStamp]:
    """Return size and hash of every file of a dataset repository, by path, as the hub lists them.

    Raises:
        DataError: If the list cannot be fetched, or has names that are unsafe in a folder.
    """
    return Source.look_up(repo_id, revision, None, Retry()).files


def digest_of_bytes(content: bytes, algorithm: str) -> str:
    """Return the hash of a content by one of `FileStamp`'s algorithms."""
    if algorithm == "sha256":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _licence(facts: Mapping[str, Any]) -> str:
    card, tags = facts.get("cardData"), facts.get("tags")
    stated = card.get("license") if isinstance(card, dict) else None
    if stated is None:
        stated = [tag.removeprefix("license:") for tag in (tags if isinstance(tags, list) else ())
                  if isinstance(tag, str) and tag.startswith("license:")]
    text = ", ".join(str(value)[:200] for value in stated[:10]) if isinstance(stated, list) else str(stated)
    return clean_text(text)[:200] or "not stated"


def clean_text(text: str) -> str:
    """Return a text from outside without control characters, which could overwrite lines of a terminal."""
    return "".join(letter for letter in text if letter == "\n" or unicodedata.category(letter)[0] != "C").strip()
