"""A hub on this machine: the part of the Hugging Face Hub's protocol that its library speaks.

Repositories are made of bytes; a test can gate them, let connections drop, and lie.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = 9 * 2**20  # what a pull fetches by itself
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree|auth-check)(?:/([^/?]+))?)?")


@dataclass
class Repo:
    """A repository: its files, and how it behaves."""

    files: dict[str, bytes]
    licence: str = "apache-2.0"
    gated: bool = False
    commit: str = COMMIT
    digests: dict[str, str] = field(default_factory=dict)  # told in the place of the right ones
    lies: dict[str, bytes] = field(default_factory=dict)  # sent instead, with the same length

    def is_lfs(self, path: str) -> bool:
        return path.endswith((".safetensors", ".bin"))

    def digest(self, path: str) -> str:
        data = self.files[path]
        if self.is_lfs(path):
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()

    def tree(self) -> list[dict[str, Any]]:
        return [self._entry(path) for path in self.files]

    def _entry(self, path: str) -> dict[str, Any]:
        size, oid = len(self.files[path]), self.digests.get(path) or self.digest(path)
        found = {"type": "file", "path": path, "size": size, "oid": oid}
        if self.is_lfs(path):
            found |= {"oid": "0" * 40, "lfs": {"oid": oid, "size": size, "pointerSize": 134}}
        return found


@dataclass
class Hub:
    """What the server holds and what it saw. `drop_after` bytes of a large file a connection ends,
    as often as `drops`; `token` opens what is gated; `status` is answered to everything."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    token: str = ""
    drop_after: int = 0
    drops: int = 0
    status: int = 0
    knows_ranges: bool = True
    seen: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    sent: int = 0
    stuck: threading.Event = field(default_factory=threading.Event)
    stick_after: int = 0

    def fetched(self) -> list[str]:
        """The paths of the files whose bytes were asked for."""
        found = (_RESOLVE.search(line) for line in self.seen if line.startswith("GET "))
        return sorted({match[3] for match in found if match})


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.seen.append(f"{self.command} {path}")
        if hub.status:
            return self._end(hub.status)
        file, api = _RESOLVE.fullmatch(path), _API.fullmatch(path)
        match = file or api
        repo = hub.repos.get(match[1]) if match else None
        if repo is None:
            return self._end(404, {"X-Error-Code": "RepoNotFound"})
        closed = repo.gated and self.headers.get("Authorization") != f"Bearer {hub.token}"
        if closed and (file or path.endswith("auth-check")):
            return self._end(403, {"X-Error-Code": "GatedRepo"})
        if file:
            return self._file(repo, file[2], file[3])
        assert api is not None
        return self._api(repo, api[2], api[3])

    def _api(self, repo: Repo, what: str | None, revision: str | None) -> None:
        if revision not in (None, "main", repo.commit):
            return self._end(404, {"X-Error-Code": "RevisionNotFound"})
        if what == "tree":
            return self._json(repo.tree())
        told = {
            "id": "x",
            "sha": repo.commit,
            "gated": "auto" if repo.gated else False,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "cardData": {"license": repo.licence},
            "siblings": [{"rfilename": path} for path in repo.files],
        }
        return self._json(told)

    def _file(self, repo: Repo, revision: str, path: str) -> None:
        if path not in repo.files:
            return self._end(404, {"X-Error-Code": "EntryNotFound"})
        data = repo.lies.get(path, repo.files[path])
        headers = {"ETag": f'"{repo.digest(path)}"', "X-Repo-Commit": repo.commit}
        wanted = self.headers.get("Range") if self.hub.knows_ranges else None
        if wanted:
            self.hub.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self._bytes(206, data[start:], headers)
        return self._bytes(200, data, headers)

    def _bytes(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        hub = self.hub
        if hub.stick_after and len(data) > hub.stick_after:
            self.wfile.write(data[: hub.stick_after])
            self.wfile.flush()
            hub.sent += hub.stick_after
            hub.stuck.wait(60)
            self.close_connection = True
            return
        if hub.drops and len(data) > hub.drop_after:
            hub.drops -= 1
            data = data[: hub.drop_after]
            self.close_connection = True
        self.wfile.write(data)
        hub.sent += len(data)

    def _json(self, value: Any) -> None:
        self._bytes(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _end(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._bytes(status, b"{}", headers or {})


@contextmanager
def open_hub() -> Iterator[Hub]:
    hub = Hub()
    handler = type("Handler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.stuck.set()
        server.shutdown()
        thread.join()
        server.server_close()
