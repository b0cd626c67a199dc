"""A model hub on localhost: the routes huggingface_hub uses, tiny files, faults on request.

GET  /api/models/ORG/NAME[/revision/REV]        what a repository holds
GET  /api/models/ORG/NAME/tree/REV              the same as a tree
HEAD /ORG/NAME/resolve/REV/FILE                 etag and size; large files redirect
GET  /ORG/NAME/resolve/REV/FILE, /lfs/SHA256    content, with Range
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

XT = "stabilityai/stable-video-diffusion-img2vid-xt"
XT_WANTED = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "feature_extractor/preprocessor_config.json",
    "image_encoder/config.json",
    "image_encoder/model.fp16.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)
XT_BESIDE = (
    ".gitattributes",
    "LICENSE",
    "README.md",
    "image_encoder/model.safetensors",
    "svd_xt.safetensors",
    "svd_xt_image_decoder.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)
"""The published repository's files: those vtg fetches, and the 40 GB it leaves alone."""


@dataclass
class Repository:
    """files: name -> content; `gated` lets in only requests with this token."""

    files: dict[str, bytes]
    commit: str = "c0ffee" + "0" * 34
    gated: str | None = None


def info_of(repo_id: str, repository: Repository) -> dict[str, Any]:
    """What a hub says of a repository."""
    siblings = [
        {"rfilename": name, "size": len(content), "blobId": blob_id(content)}
        | _large(name, content, "sha256")
        for name, content in repository.files.items()
    ]
    return {"id": repo_id, "sha": repository.commit, "siblings": siblings}


def tree_of(repository: Repository) -> list[dict[str, Any]]:
    """What it says of its files."""
    return [
        {"type": "file", "path": name, "size": len(content), "oid": blob_id(content)}
        | _large(name, content, "oid")
        for name, content in repository.files.items()
    ]


def _large(name: str, content: bytes, called: str) -> dict[str, Any]:
    about = {called: sha256(content), "size": len(content), "pointerSize": 134}
    return {"lfs": about} if is_large(name) else {}


@dataclass
class Hub:
    """repositories by ORG/NAME, and what is to go wrong.

    cut: file name -> bytes after which its next transfers break, one for each number; negative:
    they end as if that were all.
    stall: the same, but the line stays open and silent; "api": to the next question.
    drip: file name -> bytes that are sent at a time.
    swap: file name -> content sent in place of the announced one.
    refuse: file name, or "api" -> status and headers that answer its next GETs, one by one.
    status: every request is answered by it. requests: "METHOD path" of all that came in.
    listing: what is answered in place of a repository's true listing.
    etag: sent in place of every true one. waits: seconds that were to pass before another attempt.
    ranges: False for a server that knows no ranges. asked: "FILE RANGE" of all that asked for one.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    stall: dict[str, list[int]] = field(default_factory=dict)
    drip: dict[str, int] = field(default_factory=dict)
    swap: dict[str, bytes] = field(default_factory=dict)
    refuse: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    status: int | None = None
    listing: bytes | None = None
    etag: str | None = None
    ranges: bool = True
    requests: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)


def small_model(*more: str) -> dict[str, bytes]:
    """The files of a model folder, small: every content is another."""
    return {name: f"content of {name} ".encode() * 200 for name in (*XT_WANTED, *more)}


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    """Files on disk."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def lay_out_cache(repo_id: str, repository: Repository, *, main: bool = True) -> Path:
    """A repository as the hub's client leaves it in the cache: blobs, links to them, a ref."""
    from huggingface_hub import constants

    root = Path(constants.HF_HUB_CACHE) / ("models--" + repo_id.replace("/", "--"))
    for name, content in repository.files.items():
        blob = root / "blobs" / (sha256(content) if is_large(name) else blob_id(content))
        link = root / "snapshots" / repository.commit / name
        for file in (blob, link):
            file.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        up = "../" * (len(name.split("/")) + 1)
        link.symlink_to(f"{up}blobs/{blob.name}")
    if main:
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / "main").write_text(repository.commit)
    return root / "snapshots" / repository.commit


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of our own that the client talks to, with an empty cache; for child processes as well.

    The client reads its variables once, on import, so its constants are set beside them.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    from vtg_cli.weights import transfer

    home = tmp_path / "hf"
    with serving() as server:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_HOME", str(home))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HOME", str(home))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
        monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(home / "assets"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(home / "h"), raising=False)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(_http, "time", Hurried())
        monkeypatch.setattr(transfer, "pause", server.waits.append)
        yield server


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a socket or looks up a host fails."""

    class Blocked(socket.socket):
        def __init__(self, *args: object, **options: object) -> None:
            raise AssertionError(f"a socket was opened: {args} {options}")

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError(f"a host was looked up: {args}")

    monkeypatch.setattr(socket, "socket", Blocked)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Hurried:
    """The module `time` for the client's own retries: it waits for nothing."""

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None: ...


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".ckpt", ".bin"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers on a free port of localhost as long as the block lasts."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *args: object) -> None:
            pass

        def _answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            if hub.status is not None:
                return self._send(hub.status, {}, b"{}", body)
            if body and (refusal := self._refusal(path)):
                return self._send(refusal[0], refusal[1], b"{}", body)
            if match := re.fullmatch(r"/lfs/(\w+)", path):
                return self._file(*self._by_hash(match[1]), {}, body)
            if match := re.fullmatch(
                r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path
            ):
                return self._listing(match[1], match[2], match[3], body)
            if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self._resolve(match[1], match[2], match[3], body)
            self._send(404, {}, b"", body)

        def _refusal(self, path: str) -> tuple[int, dict[str, str]] | None:
            called = "api" if path.startswith("/api/") else path.partition("/resolve/")[2]
            name = called if called == "api" else called.partition("/")[2]
            if match := re.fullmatch(r"/lfs/(\w+)", path):
                name = self._by_hash(match[1])[0]
            return hub.refuse[name].pop(0) if hub.refuse.get(name) else None

        def _repository(self, repo_id: str, revision: str | None, body: bool) -> Repository | None:
            repository = hub.repositories.get(repo_id)
            if repository is None:  # the real hub does not tell a missing one from a private one
                self._send(401, {"X-Error-Code": "RepoNotFound"}, b"", body)
            elif repository.gated is not None and not self._authorised(repository.gated):
                code = 401 if self.headers["Authorization"] is None else 403
                self._send(code, {"X-Error-Code": "GatedRepo"}, b"", body)
            elif revision not in (None, "main", repository.commit):
                self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"", body)
            else:
                return repository
            return None

        def _authorised(self, token: str) -> bool:
            return self.headers["Authorization"] == f"Bearer {token}"

        def _listing(self, repo_id: str, kind: str, revision: str, body: bool) -> None:
            repository = self._repository(repo_id, revision, body)
            if repository is None:
                return
            if hub.stall.pop("api", None):
                self.close_connection = hub.over.wait(10)
                return
            if hub.listing is not None:
                return self._send(200, {"Content-Type": "application/json"}, hub.listing, body)
            told = tree_of(repository) if kind == "tree" else info_of(repo_id, repository)
            answer = json.dumps(told).encode()
            self._send(200, {"Content-Type": "application/json"}, answer, body)

        def _resolve(self, repo_id: str, revision: str, name: str, body: bool) -> None:
            repository = self._repository(repo_id, revision, body)
            if repository is None:
                return
            headers = {"X-Repo-Commit": repository.commit}
            content = repository.files.get(name)
            if content is None:
                return self._send(404, {**headers, "X-Error-Code": "EntryNotFound"}, b"", body)
            if not is_large(name):
                return self._file(
                    name, content, {**headers, "ETag": f'"{hub.etag or blob_id(content)}"'}, body
                )
            headers["X-Linked-Etag"] = f'"{hub.etag or sha256(content)}"'
            headers["X-Linked-Size"] = str(len(content))
            store = hub.url.replace("127.0.0.1", "localhost")  # as the real ones, on another host
            headers["Location"] = f"{store}/lfs/{sha256(content)}"
            self._send(302, headers, b"", body)

        def _by_hash(self, digest: str) -> tuple[str, bytes]:
            return next(
                (name, content)
                for repository in hub.repositories.values()
                for name, content in repository.files.items()
                if sha256(content) == digest
            )

        def _file(self, name: str, content: bytes, headers: dict[str, str], body: bool) -> None:
            content, status = hub.swap.get(name, content), 200
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if asked:
                hub.asked.append(f"{name} {asked[0]}")
            if asked and hub.ranges:
                start, end = int(asked[1]), len(content)
                headers = {**headers, "Content-Range": f"bytes {start}-{end - 1}/{end}"}
                content, status = content[start:], 206
            if body and hub.cut.get(name):
                return self._send(status, headers, content, body, hub.cut[name].pop(0))
            if body and hub.stall.get(name):
                return self._send(status, headers, content, body, hub.stall[name].pop(0), True)
            self._send(status, headers, content, body, drip=hub.drip.get(name) if body else None)

        def _send(
            self,
            status: int,
            headers: dict[str, str],
            content: bytes,
            body: bool,
            stop: int | None = None,
            silent: bool = False,
            drip: int | None = None,
        ) -> None:
            length = len(content)
            if stop is not None and stop < 0:
                stop = length = -stop
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                step = drip or max(length, 1)
                for start in range(0, len(content[:stop]), step):
                    self.wfile.write(content[:stop][start : start + step])
                    self.wfile.flush()
            if stop is not None:
                self.close_connection = True
            if silent:
                hub.over.wait(10)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.over.set()
            server.shutdown()
            thread.join()
