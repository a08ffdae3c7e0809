"""A small hub on the loopback: all that the real client needs for a dataset, and failures arranged by a test."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from loopback import LoopbackServer

PAGE = 5
LFS_SUFFIXES = (".tar", ".parquet")
REPO = "town/test"


@dataclass
class Answer:
    """A replacement for the usual answer: a status, headers, other content, or a cut after so many bytes.

    Before the cut, `stalled` is called, which may wait.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    cut_after: int | None = None
    stalled: Callable[[], None] = lambda: None
    range_ignored: bool = False


@dataclass
class Hub:
    """Commits of one repository, branches, a log of requests, and failures by path.

    Attributes:
        commits: Files by path, of each commit.
        branches: Commit of each branch.
        log: Requests in order: method, path in the repository (or api address), first byte requested.
        failures: Answers for the next requests whose path ends so, in turn; each is used once.
        listed: Changes the listing's entries before they are sent.
        card: The front matter of its README.
        on_get: Called with every file whose content is requested, before it is sent.
        url: Address of the server.
        blob_host: Address that large files are redirected to, if it is a different one.
        tokens: Path and authorization of every request.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    failures: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    listed: Callable[[list[dict[str, object]]], list[dict[str, object]]] = lambda entries: entries
    card: dict[str, object] = field(default_factory=lambda: {"license": "cc-by-sa-4.0"})
    on_get: Callable[[str], None] = lambda path: None
    url: str = ""
    blob_host: str = ""
    tokens: list[tuple[str, str | None]] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit and move the branch to it."""
        name = hashlib.sha1(repr(sorted((n, hashlib.sha1(c).hexdigest()) for n, c in files.items())).encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name

    def commit_folder(self, folder: Path) -> str:
        """Add a folder's files as a commit."""
        return self.commit({p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*"))
                            if p.is_file() and not any(part.startswith(".jzi") for part in p.parts)})

    def fetched(self) -> list[str]:
        """Return the paths whose content was requested, in order."""
        return [path for method, path, _ in self.log if method == "GET" and not path.startswith("/api/")]

    def entries(self, commit: str) -> list[dict[str, object]]:
        """Return the entries of a commit's tree."""
        found = []
        for path, content in self.commits[commit].items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": blob}
            if path.endswith(LFS_SUFFIXES):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            found.append(entry)
        found.append({"type": "directory", "path": "archives", "oid": "0" * 40, "size": 0})
        return self.listed(found)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._serve(head=True)

    def do_GET(self) -> None:
        self._serve(head=False)

    def _serve(self, *, head: bool) -> None:
        hub, address = self.hub, urlsplit(self.path)
        path = unquote(address.path)
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        prefix, resolve, blobs = f"/api/datasets/{REPO}", f"/datasets/{REPO}/resolve/", "/blobs/"
        name = path
        if path.startswith(resolve):
            name = path.removeprefix(resolve).partition("/")[2]
        elif path.startswith(blobs):
            name = path.removeprefix(blobs).partition("/")[2]
        redirected = path.startswith(resolve) and name.endswith(LFS_SUFFIXES)
        if not redirected:
            hub.log.append((self.command, name, first))
        hub.tokens.append((path, self.headers.get("Authorization")))
        if not head and not path.startswith("/api/") and not redirected:
            hub.on_get(name)
        answer = Answer()
        if not redirected:
            for ending, answers in hub.failures.items():
                if name.endswith(ending) and answers:
                    answer = answers.pop(0)
                    break
        if answer.status:
            return self._send(answer.status, answer.content or b"", answer.headers, head=head)
        if path.startswith(f"{prefix}/revision/") or path == prefix:
            return self._info(path.removeprefix(f"{prefix}/revision/") if path != prefix else "main", head)
        if path.startswith(f"{prefix}/tree/"):
            return self._tree(path.removeprefix(f"{prefix}/tree/"), parse_qs(address.query), head)
        if path.startswith((resolve, blobs)):
            commit = path.removeprefix(resolve).removeprefix(blobs).partition("/")[0]
            return self._file(hub.branches.get(commit, commit), name, answer, first, head=head, redirect=redirected)
        return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, head=head)

    def _info(self, revision: str, head: bool) -> None:
        commit = self.hub.branches.get(revision, revision)
        if commit not in self.hub.commits:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, head=head)
        value = {"id": REPO, "sha": commit, "private": False, "disabled": False, "downloads": 0, "likes": 0,
                 "tags": [], "cardData": self.hub.card, "siblings": []}
        return self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, head=head)

    def _tree(self, rest: str, query: dict[str, list[str]], head: bool) -> None:
        commit = rest.partition("/")[0]
        if commit not in self.hub.commits:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, head=head)
        entries = self.hub.entries(commit)
        at = int(query.get("cursor", ["0"])[0])
        headers = {"Content-Type": "application/json"}
        if at + PAGE < len(entries):
            address = f"{self.hub.url}/api/datasets/{REPO}/tree/{commit}?recursive=True&cursor={at + PAGE}"
            headers["Link"] = f'<{address}>; rel="next"'
        return self._send(200, json.dumps(entries[at:at + PAGE]).encode(), headers, head=head)

    def _file(self, commit: str, name: str, answer: Answer, first: int, *, head: bool, redirect: bool) -> None:
        content = self.hub.commits.get(commit, {}).get(name)
        if content is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, head=head)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        if redirect:
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                        "Location": f"{self.hub.blob_host or self.hub.url}/blobs/{commit}/{name}"}
            return self._send(302, b"", headers, head=head)
        if answer.content is not None:
            content = answer.content
        status = 200
        if first and not answer.range_ignored:
            if first >= len(content):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"}, head=head)
            status = 206
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content = content[first:]
        return self._send(status, content, headers | answer.headers, head=head, answer=answer)

    def _send(self, status: int, content: bytes, headers: dict[str, str], *, head: bool, answer: Answer | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if head:
            return
        try:
            if answer is not None and answer.cut_after is not None:
                self.wfile.write(content[:answer.cut_after])
                self.wfile.flush()
                answer.stalled()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(content)
        except OSError:  # the client was stopped
            self.close_connection = True


class Server:
    """Serves a `Hub` on 127.0.0.1 from a thread."""

    def __init__(self, hub: Hub) -> None:
        handler = type("Handler", (_Handler,), {"hub": hub})
        self._server = LoopbackServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
