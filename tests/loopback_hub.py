"""A hub on the loopback that the real client reads from and writes to: repositories of models and datasets, with commits."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from loopback import LoopbackServer

LARGE = (".tar", ".parquet", ".safetensors", ".onnx", ".gif", ".jpg", ".png", ".rows")


@dataclass
class Repo:
    """Commits of a repository, the last one on its main branch."""

    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    private: bool = False

    @property
    def files(self) -> dict[str, bytes]:
        """The files of the main branch."""
        return self.commits[-1][1]

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit with exactly these files, and return its name."""
        name = hashlib.sha1(repr((len(self.commits), sorted((n, hashlib.sha1(c).digest()) for n, c in files.items()))).encode())
        self.commits.append((name.hexdigest(), dict(files)))
        return name.hexdigest()


@dataclass
class LoopbackHub:
    """Repositories by `models/owner/name` or `datasets/owner/name`.

    Attributes:
        repos: The repositories.
        large: Contents that were uploaded apart from a commit, by SHA-256.
        log: Method and path of every request.
        down: Whether every request is answered with an error of the server.
        stop_after: Number of large uploads after which the server fails; None for never.
    """

    repos: dict[str, Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    stop_after: int | None = None
    url: str = ""

    def add(self, repo: str, folder: Path) -> Repo:
        """Add a repository with the files of a folder, without this package's own."""
        found = self.repos.setdefault(repo, Repo())
        found.commit({p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*"))
                      if p.is_file() and not any(part.startswith(".jzi") for part in p.parts)})
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: LoopbackHub

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def do_PUT(self) -> None:
        self._route()

    def _route(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        self.hub.log.append((self.command, path))
        if self.hub.down:
            return self._json({"error": "down"}, 500)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path.startswith("/large/"):
            return self._keep(path.removeprefix("/large/"), body)
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            kind, name, rest = parts[1], "/".join(parts[2:4]), parts[4:]
        else:
            kind = "datasets" if parts[0] == "datasets" else "models"
            parts = parts[1:] if kind == "datasets" else parts
            name, rest = "/".join(parts[:2]), parts[2:]
            if name.endswith(".git"):
                return self._batch(json.loads(body))
        repo = self.hub.repos.get(f"{kind}/{name}")
        if repo is None:
            return self._json({}, 404, {"X-Error-Code": "RepoNotFound"})
        return self._repository(repo, kind, name, rest, body)

    def _repository(self, repo: Repo, kind: str, name: str, rest: list[str], body: bytes) -> None:
        asked = rest[1] if len(rest) > 1 else "main"
        found = next((c for c in reversed(repo.commits) if asked in {"main", c[0]}), None)
        if found is None and repo.commits:
            return self._json({}, 404, {"X-Error-Code": "RevisionNotFound"})
        commit, files = found or ("0" * 40, {})
        what = rest[0] if rest else "revision"
        if what == "revision":
            card = files.get("README.md", b"").decode()
            licence = next((line[9:].strip() for line in card.splitlines() if line.startswith("license: ")), None)
            return self._json({"id": name, "sha": commit, "private": repo.private, "tags": [], "siblings": [],
                               "cardData": {} if licence is None else {"license": licence}})
        if what == "tree":
            return self._json([_entry(path, content) for path, content in sorted(files.items())])
        if what == "preupload":
            asked_for = [f["path"] for f in json.loads(body)["files"]]
            return self._json({"files": [{"path": p, "shouldIgnore": False, "oid": _oid(files.get(p), p),
                                          "uploadMode": "lfs" if p.endswith(LARGE) else "regular"} for p in asked_for]})
        if what == "commit":
            return self._commit(repo, f"{'datasets/' if kind == 'datasets' else ''}{name}", files, body)
        return self._resolve(commit, files, "/".join(rest[2:]))

    def _create(self, asked: dict[str, str]) -> None:
        key = f"{asked.get('type') or 'model'}s/{asked['organization']}/{asked['name']}"
        if key in self.hub.repos:
            return self._json({"error": "exists", "url": f"{self.hub.url}/{key.removeprefix('models/')}"}, 409)
        self.hub.repos[key] = Repo(private=asked.get("visibility") == "private")
        self.hub.repos[key].commit({".gitattributes": b"*.tar filter=lfs\n"})
        return self._json({"url": f"{self.hub.url}/{key.removeprefix('models/')}"})

    def _keep(self, digest: str, content: bytes) -> None:
        if self.hub.stop_after is not None:
            if not self.hub.stop_after:
                return self._json({"error": "no more"}, 403)
            self.hub.stop_after -= 1
        assert hashlib.sha256(content).hexdigest() == digest
        self.hub.large[digest] = content
        return self._json({})

    def _batch(self, asked: dict[str, list[dict[str, object]]]) -> None:
        new = [item["oid"] not in self.hub.large for item in asked["objects"]]
        hrefs = [{"actions": {"upload": {"href": f"{self.hub.url}/large/{item['oid']}"}}} for item in asked["objects"]]
        self._json({"transfer": "basic", "objects": [{**item, **(href if wanted else {})}
                                                     for item, href, wanted in zip(asked["objects"], hrefs, new, strict=True)]})

    def _commit(self, repo: Repo, place: str, files: dict[str, bytes], body: bytes) -> None:
        files = dict(files)
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        name = repo.commit(files)
        return self._json({"commitOid": name, "commitUrl": f"{self.hub.url}/{place}/commit/{name}"})

    def _resolve(self, commit: str, files: dict[str, bytes], path: str) -> None:
        if path not in files:
            return self._json({}, 404, {"X-Error-Code": "EntryNotFound"})
        content = files[path]
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        etag = _oid(content, path)
        return self._send(206 if first else 200, content[first:], {"X-Repo-Commit": commit, "ETag": f'"{etag}"'})

    def _json(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content: bytes | None, path: str) -> str | None:
    if content is None:
        return None
    if path.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, object]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[LoopbackHub]:
    """Serve an empty hub, which the real client uses, with a cache of its own."""
    hub = LoopbackHub()
    server = LoopbackServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for name, value in (("HF_HUB_CACHE", str(cache)), ("HF_HUB_DISABLE_XET", True), ("ENDPOINT", hub.url),
                        ("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_PROGRESS_BARS", True),
                        ("HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
