"""Uploads: one commit for a few files, or a folder that is uploaded in parts and goes on where it was interrupted."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from justzoomin.errors import ConfigError, DataError

Kind = Literal["model", "dataset"]
_REFUSED = (OSError, ValueError, RuntimeError, LookupError, TypeError)
"""What the hub's client raises: its own errors, and those of an answer that is not a hub's."""
_REMEDY = "Check the name, log in with `hf auth login` (or set HF_TOKEN) as somebody who may write there, and run it again."


@dataclass(frozen=True)
class Pushed:
    """A repository after an upload.

    Args:
        repo_id: `owner/name`.
        kind: Kind of the repository.
        commit: The last commit.
        url: Address of the repository.
    """

    repo_id: str
    kind: Kind
    commit: str
    url: str


def push_files(repo_id: str, kind: Kind, files: Mapping[str, Path | bytes], message: str, *, private: bool = False,
               replaces: Callable[[str], bool] = lambda path: False) -> Pushed:
    """Upload files in one commit, so that the repository is never half new.

    Args:
        repo_id: `owner/name`; the repository is made if it does not exist.
        kind: Kind of the repository.
        files: File or content by path in the repository.
        message: What the commit is, for its title.
        private: Whether a new repository is private.
        replaces: Which other files of the repository are removed in the same commit, by path.

    Raises:
        ConfigError: If the repository's id is invalid.
        DataError: If the hub refuses the upload or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, url = HfApi(), _make(repo_id, kind, private=private)
    try:
        there = api.list_repo_files(repo_id, repo_type=kind)
        adds = [CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
                for path, content in files.items()]
        gone = [CommitOperationDelete(path) for path in there if path not in files and replaces(path)]
        done = api.create_commit(repo_id, [*adds, *gone], commit_message=message, repo_type=kind)
    except _REFUSED as error:
        raise _failed(repo_id, error) from error
    return Pushed(repo_id, kind, str(done.oid), url)


def push_folder(repo_id: str, kind: Kind, folder: Path, files: Iterable[str], message: str, *, private: bool = False) -> Pushed:
    """Upload listed files of a folder. An upload that was interrupted goes on when it is asked for again.

    Args:
        repo_id: `owner/name`; the repository is made if it does not exist.
        kind: Kind of the repository.
        folder: The folder.
        files: Paths below the folder; nothing else of it is uploaded.
        message: Title of the commit.
        private: Whether a new repository is private.

    Raises:
        ConfigError: If the repository's id is invalid.
        DataError: If the hub refuses the upload or cannot be reached.
    """
    from huggingface_hub import HfApi

    url = _make(repo_id, kind, private=private)
    try:
        done = HfApi().upload_folder(repo_id=repo_id, repo_type=kind, folder_path=folder, commit_message=message,
                                     allow_patterns=[glob.escape(name) for name in files])
    except _REFUSED as error:
        raise _failed(repo_id, error, "What was uploaded is kept. ") from error
    return Pushed(repo_id, kind, str(done.oid), url)


def _make(repo_id: str, kind: Kind, *, private: bool) -> str:
    """Make a repository unless it exists, and return its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # it is there, named at run time

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ConfigError(repr(repo_id), "the id of the repository is invalid", "Write owner/name.") from error
    if repo_id.count("/") != 1:
        raise ConfigError(repr(repo_id), "the id of the repository has no owner", "Write owner/name.")
    try:
        return str(HfApi().create_repo(repo_id, repo_type=kind, private=private or None, exist_ok=True))
    except _REFUSED as error:
        raise _failed(repo_id, error) from error


def _failed(repo_id: str, error: Exception, kept: str = "") -> DataError:
    from justzoomin.untrusted import printable

    return DataError(repo_id, f"the hub did not take the upload ({printable(error, 200) or type(error).__name__})",
                     f"{kept}{_REMEDY}")
