"""Jobs: many photos of a client, localized one job after the other. They survive a restart of the server.

A job is a folder. `localize_to_file` keeps a journal in it, so that a killed server does not localize a photo twice. Photos are
removed when the job ends; results are removed some time after they were fetched, or a day after the end.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from justzoomin.errors import ConfigError, DataError, JustZoomInError
from justzoomin.files import folder_lock, sweep, sync_folder, work_folder
from justzoomin.geometry import grid_to_dict
from justzoomin.search import Fix, Localizer, localize_to_file
from justzoomin.service.job_files import FORMATS, MAX_TOLD, JobFolder, JobRequest
from justzoomin.service.job_limits import JobLimits, NoSuchJobError, NotDoneError, TooManyJobsError
from justzoomin.service.stored_form import StoredForm, number_of

SWEEP_S = 3600.0
"""Seconds between two looks for jobs that are to be removed."""
_LOG = logging.getLogger("justzoomin.jobs")
_OPEN = ("waiting", "running")

LocalizerFor = Callable[[Mapping[str, str], Mapping[str, Path]], Localizer]
"""From the fields of a form, and the files of fields that are files, to a localizer that answers so."""
Localize = Callable[[Localizer, list[Path]], Iterable[Fix | JustZoomInError]]
"""Localizes photos in order with such a localizer."""


class _BrokenOffError(Exception):
    """The job was cancelled, or the server ends."""


class Jobs:
    """The jobs of a server.

    Args:
        folder: Folder of all jobs; made if missing, for this user alone.
        localizer_for: Makes the localizer of a job.
        localize: Localizes the photos of a job; the localizer itself if None.
        limits: Limits of uploads and jobs.
        files: Names of the fields that are stored as files.
        clock: Seconds since 1970.

    Raises:
        DataError: If another server uses the folder.
        OSError: If the folder cannot be written.
    """

    def __init__(self, folder: Path, localizer_for: LocalizerFor, localize: Localize | None = None, *,
                 limits: JobLimits | None = None, files: Sequence[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.folder, self.limits = folder, limits or JobLimits()
        self._localizer_for, self._localize = localizer_for, localize or Localizer.localize_many
        self._files, self._clock = tuple(files), clock
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._converting = threading.Lock()
        self._closing = threading.Event()
        self._uploading = 0
        self._threads: list[threading.Thread] = []
        self._held = contextlib.ExitStack()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._held.enter_context(folder_lock(folder, "server"))
        except DataError as error:
            raise DataError(error.where, error.what, "Stop it, or give this one a folder of its own (jzi serve --jobs FOLDER)."
                            ) from error
        sweep(folder)
        self._jobs = {job.id: job for job in sorted(self._found(), key=lambda job: job.asked.number)}
        self._next = max((job.asked.number for job in self._jobs.values()), default=0) + 1
        for job in self._jobs.values():
            if job.status.state not in _OPEN:
                job.remove_inputs()  # what a killed server had no time for
        self.sweep()

    def start(self) -> None:
        """Begin to work, in threads of its own."""
        self._threads = [threading.Thread(target=target, name=f"jobs-{name}", daemon=True)
                         for name, target in (("work", self._run), ("sweep", self._sweep_often))]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End after the current batch. Jobs that are not done go on when the folder is opened again."""
        self._closing.set()
        with self._lock:
            self._work.notify_all()
        for thread in self._threads:
            thread.join()
        self._held.close()

    @contextlib.contextmanager
    def upload(self) -> Iterator[StoredForm]:
        """Receive a job: fill the upload, then give it to `submit`. What was not submitted is removed.

        Raises:
            TooManyJobsError: If too many jobs wait.
            OSError: If the folder cannot be written.
        """
        with self._lock:
            if self.waiting >= self.limits.max_waiting:
                raise TooManyJobsError("jobs", f"{self.waiting} jobs wait", "Try again later.")
            self._uploading += 1
        try:
            with self.scratch(self.limits, self._files) as upload:
                yield upload
        finally:
            with self._lock:
                self._uploading -= 1

    @contextlib.contextmanager
    def scratch(self, limits: JobLimits, files: Sequence[str] = ()) -> Iterator[StoredForm]:
        """Store a form for as long as the block lasts. What a killed server leaves of it, the next one removes.

        Args:
            limits: How much is accepted.
            files: Names of the fields that are stored as files.

        Raises:
            OSError: If the folder cannot be written.
        """
        with work_folder(self.folder / secrets.token_hex(16), "upload") as folder:
            folder.chmod(0o700)
            form = StoredForm(folder, limits, files)
            try:
                yield form
            finally:
                form.close()

    @property
    def waiting(self) -> int:
        """Number of jobs that wait, run or are being uploaded."""
        return self._uploading + sum(job.status.state in _OPEN for job in self._jobs.values())

    def submit(self, upload: StoredForm) -> dict[str, Any]:
        """Make a job of an upload and return its state.

        Raises:
            ConfigError: If it has no photo, or a field is wrong.
            OSError: If the job cannot be written.
        """
        if not upload.names:
            raise ConfigError("photos", "no photo was sent", "Send one or more parts called photos.")
        localizer = self._localizer_for(upload.fields, upload.files)  # refuses wrong fields
        with self._lock:
            number, self._next = self._next, self._next + 1
        asked = JobRequest(number=number, names=tuple(upload.names), fields=upload.fields,
                           files={field: path.name for field, path in upload.files.items()}, grid=grid_to_dict(localizer.grid),
                           attribution=localizer.map.attribution)
        JobFolder.write_asked(upload.folder, asked)
        final = self.folder / upload.folder.name.removeprefix(".").removesuffix(".part")
        upload.folder.rename(final)
        sync_folder(self.folder)
        with self._lock:
            job = self._jobs[final.name] = JobFolder(final)
            self._work.notify_all()
            return job.to_dict()

    def state(self, job_id: str) -> dict[str, Any]:
        """Return the state of a job: `id`, `state`, `total`, `done`, `failed`, `failures`, `error`, `results`.

        Raises:
            NoSuchJobError: If there is no such job.
        """
        with self._lock:
            return self._job(job_id).to_dict()

    def delete(self, job_id: str) -> dict[str, Any] | None:
        """Cancel a job, or remove it if it has ended. A running job ends after the current batch.

        Returns:
            The state of a job that was cancelled; None if the job has been removed.

        Raises:
            NoSuchJobError: If there is no such job.
        """
        with self._lock:
            job = self._job(job_id)
            if job.status.state == "waiting":
                self._end(job, "cancelled")
            elif job.status.state == "running":
                job.status.cancelled = True
                job.save_status()
            else:
                del self._jobs[job_id]
                job.remove()
                return None
            return job.to_dict()

    def result(self, job_id: str, extension: str) -> Path:
        """Return the file of a result.

        Args:
            job_id: The job.
            extension: `jsonl`, `geojson`, `csv` or `parquet`.

        Raises:
            NoSuchJobError: If there is no such job, or no such format.
            NotDoneError: If the job has no result.
            OSError: If the file cannot be written.
        """
        if extension not in FORMATS:
            raise NoSuchJobError(f"result.{extension}"[:100], "there is no such result", f"Use one of {', '.join(FORMATS)}.")
        with self._lock:
            job = self._job(job_id)
            if job.status.state in _OPEN:
                raise NotDoneError(job_id, f"the job is {job.status.state}", "Ask for its state until it is done.")
            if job.status.state != "done":
                raise NotDoneError(job_id, f"the job is {job.status.state} and has no result", "Send the photos again.")
        with self._converting:
            return job.converted(extension)

    def fetched(self, job_id: str) -> None:
        """Note that the result of a job was fetched, so that it is removed some time later."""
        with self._lock, contextlib.suppress(NoSuchJobError, OSError):
            job = self._job(job_id)
            if job.status.fetched is None:
                job.status.fetched = self._clock()
                job.save_status()

    def sweep(self) -> None:
        """Remove jobs that ended or were fetched long enough ago."""
        now = self._clock()
        with self._lock:
            for job in list(self._jobs.values()):
                ended, fetched = job.status.ended, job.status.fetched
                if ended is not None and (now - ended >= self.limits.keep_s or (
                        fetched is not None and now - fetched >= self.limits.fetched_keep_s)):
                    del self._jobs[job.id]
                    job.remove()

    def _job(self, job_id: str) -> JobFolder:
        if job_id not in self._jobs:
            raise NoSuchJobError(job_id[:100], "there is no such job", "Results are kept for a limited time only.")
        return self._jobs[job_id]

    def _found(self) -> Iterator[JobFolder]:
        """Return the jobs on the disk; a folder that cannot be read is left alone and reported."""
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
                try:
                    yield JobFolder(path)
                except (DataError, ValidationError) as error:
                    _LOG.warning("not a job: %s (%s)", path, error)

    def _sweep_often(self) -> None:
        while not self._closing.wait(SWEEP_S):
            self.sweep()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._work.wait_for(lambda: self._closing.is_set() or self._first() is not None)
                job = self._first()
                if self._closing.is_set() or job is None:
                    return
                job.status.state = "running"
            try:
                with contextlib.suppress(OSError):  # a full disk
                    job.save_status()
                self._do(job)
            except _BrokenOffError:
                if not job.status.cancelled:
                    return
                self._end_safely(job, "cancelled")
            except JustZoomInError as error:
                _LOG.error("job %s: %s: %s", job.log_name, type(error).__name__, error.what)
                self._end_safely(job, "failed", job.told(str(error)))
            except Exception:
                _LOG.exception("job %s", job.log_name)
                self._end_safely(job, "failed", "the server made an error; its log says which")

    def _first(self) -> JobFolder | None:
        return next((job for job in self._jobs.values() if job.status.state in _OPEN), None)

    def _do(self, job: JobFolder) -> None:
        """Localize the photos of a job, or what is left of them."""
        if job.status.cancelled:
            raise _BrokenOffError
        if not job.result("jsonl").exists():
            if not job.found.exists():
                localizer = self._localizer_for(job.asked.fields, job.files)
                status = job.status
                status.done, status.failed, status.failures = 0, 0, []
                localize_to_file(localizer, job.photos, job.found, localize=lambda todo: self._results(job, localizer, todo),
                                 progress=lambda done, before, total: setattr(status, "done", done))
            job.write_result()
        job.count()
        self._end_safely(job, "done")

    def _results(self, job: JobFolder, localizer: Localizer, todo: list[Path]) -> Iterator[Fix | JustZoomInError]:
        """Yield the results of photos until the job is broken off."""
        for photo, result in zip(todo, _until_cancelled(self._localize(localizer, todo)), strict=True):
            if self._closing.is_set() or job.status.cancelled:
                raise _BrokenOffError
            if isinstance(result, JustZoomInError):
                job.status.failed += 1
                if len(job.status.failures) < MAX_TOLD:
                    name = job.asked.names[number_of(photo)]
                    job.status.failures.append({"photo": name, "error": job.told(str(result))})
            yield result

    def _end_safely(self, job: JobFolder, state: Any, error: str | None = None) -> None:
        with self._lock:
            self._end(job, state, error)

    def _end(self, job: JobFolder, state: Any, error: str | None = None) -> None:
        """Set the state of a job that has ended, and remove its photos."""
        job.status.state, job.status.error, job.status.ended = state, error, self._clock()
        try:
            job.save_status()
        except OSError as wrong:  # a full disk; the job would go on after a restart
            _LOG.error("job %s: its state cannot be written: %s", job.log_name, wrong.strerror)
        job.remove_inputs()


def _until_cancelled(results: Iterable[Fix | JustZoomInError]) -> Iterator[Fix | JustZoomInError]:
    """Yield results; a queue that is closed cancels the photos that wait in it."""
    try:
        yield from results
    except CancelledError as error:
        raise _BrokenOffError from error
