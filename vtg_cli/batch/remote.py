"""Clips in an object store or on another machine: any URL fsspec knows, such as s3://bucket/clips.

A clip is made in a temporary folder and sent when it is whole, its record last, as one object a
clip below `.vtg-batch/`. Object stores have no locks: two batches on one URL at once may make a
clip twice; what stands there is whole all the same.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from vtg_cli.batch.journal import History, is_event
from vtg_cli.errors import MediaError, UsageError
from vtg_cli.ground import documents
from vtg_cli.ground.atomic import NUMBER
from vtg_cli.media.beside import sidecar_path


class Bucket:
    """A Store behind a URL."""

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(
                f"-o {url}: {reason}", "install what fsspec needs for it", subject="--output"
            ) from None
        self._root = self._root.rstrip("/")

    def tidy(self) -> None:
        pass  # an object is there as a whole or not

    def claim(self, output: str, *, wait: bool) -> AbstractContextManager[bool]:
        return nullcontext(True)

    def history(self, output: str) -> History:
        try:
            note = documents.json_value(self._fs.cat_file(self._note_of(output)))
        except (FileNotFoundError, ValueError):
            return History()
        return History(done=note if is_event(note) else None)

    def record(self, event: str, output: str, **facts: Any) -> None:
        if event == "done":
            note = {"event": event, "output": output, **facts}
            self._fs.makedirs(f"{self._root}/.vtg-batch", exist_ok=True)
            self._fs.pipe_file(self._note_of(output), json.dumps(note).encode())

    def fingerprint(self, output: str) -> str | None:
        """Return names and sizes: content would have to be fetched."""
        self._fs.invalidate_cache()
        files = self._files(output)
        sizes = (f"{name.rpartition('/')[2]}:{self._fs.size(name)}" for name in files)
        return " ".join(sizes) or None

    def whole(self, output: str) -> bool:
        return False  # what was not recorded is made again

    @contextmanager
    def writing(self, output: str) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="vtg-batch-") as folder:
            place = Path(folder) / output
            place.parent.mkdir(parents=True, exist_ok=True)
            yield str(place)
            report = sidecar_path(str(place))
            written = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
            stale = set(self._files(output))
            for path in sorted(written, key=lambda each: each == report):  # the report last
                target = f"{self._root}/{path.relative_to(folder).as_posix()}"
                stale.discard(target)
                try:
                    self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                    self._fs.put_file(str(path), target)
                except OSError as error:
                    raise MediaError(f"cannot write {target}: {error}", subject=target) from error
            for name in stale:  # pictures of a longer sequence
                self._fs.rm_file(name)

    def _files(self, output: str) -> list[str]:
        whole = f"{self._root}/{output}"
        if not NUMBER.search(Path(output).name):
            return [whole] if self._fs.exists(whole) else []
        return sorted(self._fs.glob(NUMBER.sub("[0-9]*", whole)))

    def _note_of(self, output: str) -> str:
        return f"{self._root}/.vtg-batch/{hashlib.sha256(output.encode()).hexdigest()[:32]}.json"
