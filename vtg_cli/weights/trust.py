"""Trust on first use: what the first pull of a repository brought, and the check of all after it.

One JSON file per repository holds its commit and, for each file fetched, size and sha256. It
outlives the downloaded files: a later pull fetches the same commit and must get the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vtg_cli.errors import WeightsError
from vtg_cli.ground import documents, temporary

FORMAT = "vtg-trust-1"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Known:
    """One file: size in bytes, sha256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Record:
    repo_id: str
    commit: str
    files: Mapping[str, Known] = field(default_factory=dict)


def read(path: Path) -> Record | None:
    """Read a record; None if there is none. Raise WeightsError if it is damaged."""
    try:
        raw = documents.json_file(path)
        if raw["format"] != FORMAT:
            raise ValueError(f"format {raw['format']!r}")
        files = {name: Known(int(k["size"]), str(k["sha256"])) for name, k in raw["files"].items()}
        return Record(str(raw["repo_id"]), str(raw["commit"]), files)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"the record of trusted downloads {path} is damaged ({error})",
            "delete it to trust the next download anew",
            subject=str(path),
        ) from error


def write(path: Path, record: Record) -> None:
    """Replace the record as a whole. Raise OSError if the place cannot be written."""
    replace_json(path, {"format": FORMAT, **asdict(record)})


def replace_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a small file as a whole or not at all. Raise OSError if the place cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    return _digest(path, hashlib.sha256())


def git_blob_id(path: Path) -> str:
    r"""Return what git, and the hub, calls a small file: sha1 of "blob SIZE\0" and its content."""
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def _digest(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
