"""Download a plan's files straight into their folder, and check every file before it gets its final name.

Downloading stays our own code, because a broken download of a large shard must resume. Files come over the hub client's own
session (addresses, token, proxies, HF_ENDPOINT, offline mode), not through `hf_hub_download`. That function writes to a
temporary file of its own and discards it on failure, so a shard of many gigabytes starts from zero after every broken run; it
also gives files their final names without checking their hashes. Here the bytes of a file are collected in
`DEST/.jzi-download/`, on the same file system, and a broken connection or a killed process resumes where it stopped. A file is
hashed from the disk, synced, and only then renamed, so every file under its final name is correct. Nothing goes through the
hub's cache, so there is never a second copy.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

from huggingface_hub import constants, get_session, hf_hub_download, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from justzoomin.archives import DownloadRecord, compare_files
from justzoomin.errors import DataError
from justzoomin.files import disk_words, folder_lock, open_for_rows, open_to_write, refuse_links, sync, sync_folder
from justzoomin.hub.listing import request_headers
from justzoomin.hub.plan import STAGING, DownloadPlan, PlannedFile, part_path
from justzoomin.hub.retry import TRANSPORT, Retry
from justzoomin.hub.source import Source

Progress = Callable[[str, int, int], None]

WRONG_TRIES = 3
"""How many times a file is fetched whose content differs from the hub's list, before that is an error."""
LARGEST_PLAIN_BYTES = constants.MAX_HTTP_DOWNLOAD_SIZE
"""The hub sends larger files only through its own storage protocol, which `hf_hub_download` speaks."""


def download(plan: DownloadPlan, progress: Progress | None = None, *, workers: int = 4,
             retry: Retry | None = None) -> DownloadRecord:
    """Fetch the missing files, check them, and mark the folder's record as complete.

    If the process is killed, the record still says that the folder is incomplete, and the next run resumes.

    Args:
        plan: From `plan_download`.
        progress: Called with a stage, the bytes already present and all bytes; from several threads, one at a time.
        workers: Number of files to fetch at the same time.
        retry: What to do after failures; its pauses end early when another file failed for good.

    Returns:
        The completed record.

    Raises:
        DataError: If the disk is too small or full, a file stays wrong, the hub fails for good, a different file has the name
            of one in the download, or the path to such a file contains a link.
        OSError: If the folder cannot be written.
    """
    if plan.complete or plan.source is None:
        return plan.record
    plan.require_room()
    staging = refuse_links(plan.dest, plan.dest / STAGING)
    for name in {*(file.path for file in plan.files), *plan.remove}:
        refuse_links(plan.dest, (plan.dest / name).parent)
    with folder_lock(plan.dest, "download"):
        _check_unproved(plan, progress)
        _replace_record(plan)
        staging.mkdir(exist_ok=True)
        wanted = {part_path(plan.dest, file.path, file.stamp) for file in plan.files if file.state == "fetch"}
        for path in staging.iterdir():  # parts of another commit, and the hub client's leftovers
            if path not in wanted:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        _fetch_all(plan, plan.source, progress, workers, retry or Retry())
        problems = plan.record.problems(plan.dest)
        if problems:
            raise DataError(plan.dest / problems[0].path, f"the file changed after the download: {problems[0].detail}",
                            "Another process is changing this folder. Stop it and run the same command again.")
        record = replace(plan.record, complete=True)
        record.save(plan.dest)
        shutil.rmtree(staging, ignore_errors=True)
    return record


def _check_unproved(plan: DownloadPlan, progress: Progress | None) -> None:
    """Adopt files that exist without a record if they are correct, and refuse the folder otherwise."""
    unproved = [(file.path, file.stamp) for file in plan.files if file.state == "unproved"]
    problems = compare_files(plan.dest, unproved, progress) if unproved else []
    if problems:
        raise DataError(plan.dest / problems[0].path,
                        f"a file with this name exists but differs from the download: {problems[0].detail} "
                        f"({len(problems)} such files)", "Choose another folder, or move the file away.")


def _replace_record(plan: DownloadPlan) -> None:
    """Save the new record, after removing every file that it does not list or lists with different content.

    So a file with its final name and the recorded size was always checked against this record.
    """
    old = DownloadRecord.load(plan.dest)
    if old is not None and plan.remove:
        replace(old, complete=False).save(plan.dest)
        for path in plan.remove:
            (plan.dest / path).unlink(missing_ok=True)
    replace(plan.record, complete=False).save(plan.dest)


class _Stopped(Exception):  # noqa: N818
    """Another file failed, so this one is abandoned for now."""


def _fetch_all(plan: DownloadPlan, source: Source, progress: Progress | None, workers: int, retry: Retry) -> None:
    fetcher = _Fetcher(plan, source, progress, retry)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        jobs = [pool.submit(fetcher.fetch, file) for file in plan.files if file.state == "fetch"]
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
        except BaseException:
            fetcher.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        fetcher.stop.set()
        pool.shutdown(cancel_futures=True)
    failures = [error for job in jobs if not job.cancelled() and (error := job.exception()) is not None]
    for error in sorted(failures, key=lambda error: isinstance(error, _Stopped)):
        raise error


class _Fetcher:
    """Fetches the files of a plan from several threads."""

    def __init__(self, plan: DownloadPlan, source: Source, progress: Progress | None, retry: Retry) -> None:
        self.stop = threading.Event()
        self._plan, self._source, self._progress = plan, source, progress
        self._retry = replace(retry, sleep=self._pause_with(retry.sleep))
        self._lock, self._done = threading.Lock(), plan.bytes_there
        self._advance(0)

    def _pause_with(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        """Return the caller's pause; the default one ends early when the other files were stopped."""
        default = Retry().sleep

        def pause(seconds: float) -> None:
            if sleep is default:
                self.stop.wait(seconds)
            else:
                sleep(seconds)
        return pause

    def _advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._progress:
                self._progress("download", self._done, self._plan.total_bytes)

    def fetch(self, file: PlannedFile) -> None:
        """Fetch one file, check it and give it its final name."""
        part, final = part_path(self._plan.dest, file.path, file.stamp), self._plan.dest / file.path
        where = self._source.where(file.path)
        with disk_words(final):
            for last in range(WRONG_TRIES - 1, -1, -1):
                if file.stamp.size > LARGEST_PLAIN_BYTES:
                    self._fetch_large(file, part)
                else:
                    self._fill(file, part, where)
                problem = file.stamp.problem(part, content=True)
                if problem is None:
                    break
                part.unlink()
                self._advance(-file.stamp.size)
                if not last:
                    raise DataError(where, f"the content sent by the hub differs from its list: {problem}, {WRONG_TRIES} times",
                                    "Run the same command again later; the other files are kept. "
                                    "If the error persists, tell the repository's owners.")
                self._retry.notice(f"{where}: {problem}; fetching it again")
            with open_to_write(part, "r+b", final) as whole:
                sync(whole)
            final.parent.mkdir(parents=True, exist_ok=True)
            part.replace(final)
            sync_folder(final.parent)

    def _fill(self, file: PlannedFile, part: Path, where: str) -> None:
        """Append to the partial file until it has its full size, over as many connections as needed."""
        failures = 0
        if part.exists() and part.stat().st_size > file.stamp.size:
            part.unlink()
        open_for_rows(part).close()
        while (have := part.stat().st_size) < file.stamp.size:
            error: Exception
            try:
                self._stream(file, part, have)
                error = ConnectionError(f"the hub sent {part.stat().st_size} of {file.stamp.size} bytes")
                if part.stat().st_size == file.stamp.size:
                    return
            except HfHubHTTPError as refused:
                error = refused
                if refused.response.status_code == 416:  # the hub believes that the file ends before this offset
                    self._advance(-have)
                    open_to_write(part).close()
                    error = ConnectionError("the hub says that the file ends before the requested part")
            except (TRANSPORT, ConnectionError, TimeoutError) as broken:
                error = broken
            failures = 1 if part.stat().st_size > have else failures + 1
            self._retry.wait(error, failures, where)

    def _stream(self, file: PlannedFile, part: Path, have: int) -> None:
        """Append the bytes from `have` on over one connection, and never more than the file's size."""
        headers = request_headers()
        if have:
            headers["Range"] = f"bytes={have}-"
        if self.stop.is_set():
            raise _Stopped
        with get_session().stream("GET", self._source.url(file.path), headers=headers,
                                  timeout=float(constants.HF_HUB_DOWNLOAD_TIMEOUT)) as response, \
                open_to_write(part, "r+b", self._plan.dest / file.path) as out:
            hf_raise_for_status(response)
            start = have
            if have and not (response.status_code == 206 and
                             str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")):
                out.truncate(0)  # the hub sends the file from its start
                self._advance(-have)
                start = 0
                if response.status_code == 206:
                    raise ConnectionError("the hub sent a different part of the file than requested")
            out.seek(start)
            room = file.stamp.size - start
            for chunk in response.iter_raw():
                if self.stop.is_set():
                    raise _Stopped
                out.write(chunk[:room])
                self._advance(min(len(chunk), room))
                room -= min(len(chunk), room)
                if not room:
                    return

    def _fetch_large(self, file: PlannedFile, part: Path) -> None:
        """Fetch a file too large for plain requests with the hub client, into a folder beside the partial files."""
        folder = part.with_suffix(".large")
        try:
            path = hf_hub_download(self._source.repo_id, file.path, repo_type="dataset", revision=self._source.commit,
                                   local_dir=folder, endpoint=self._source.endpoint)
            Path(path).replace(part)
        except (TRANSPORT, ConnectionError, LocalEntryNotFoundError) as error:
            self._retry.wait(error, self._retry.tries, self._source.where(file.path))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._advance(file.stamp.size)
