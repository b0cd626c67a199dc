"""Faults between here and a hub: which of them pass, and how the rest is told.

docs/models.md has the table; tests/weights/test_faults.py has each row as a test.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache, transfer
from vtg_cli.weights.catalog import Place

ODD = (TypeError, AttributeError, LookupError)
"""Errors the client raises for an answer of other types than it expects."""
AGAIN = "pull again; it goes on where it stopped"


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Turn whatever the client, its HTTP library or the disk raise into one WeightsError."""
    from huggingface_hub import errors

    # The client's HTTP library differs between its versions; this is the one name they share.
    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    try:
        with unspoken():
            yield
    except (http_error, OSError, ValueError, RuntimeError, *ODD) as error:
        message, hint = _explanation(error, place)
        raise WeightsError(message, hint, subject=place.repo_id) from error


@contextmanager
def unspoken() -> Iterator[None]:
    """Keep the client's log, which repeats a server's words as they come, off stderr."""
    import logging

    from huggingface_hub.utils.logging import get_verbosity, set_verbosity

    level = get_verbosity()
    set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        set_verbosity(level)


def wait_for_line(error: Exception, attempts: int) -> float | None:
    """Return a transfer.Wait for one file: a broken line or a stalled or busy server passes."""
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        return wait_for_answer(error, attempts)
    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    passing = isinstance(error, (http_error, transfer.TooShort))
    return transfer.backoff(attempts) if passing else None


def wait_for_answer(error: Exception, attempts: int) -> float | None:
    """Return a transfer.Wait for a question: a busy server passes, no connection raises.

    If the server names a time, that one is taken.
    """
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError):
        return None
    status = error.response.status_code
    if status not in (408, 429) and status < 500:
        return None
    return asked_wait(error.response.headers) or transfer.backoff(attempts)


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait, by Retry-After or the hub's ratelimit header."""
    after = headers.get("retry-after", "").strip()
    if after.isdigit():
        return float(after)
    reset = re.search(r"\br=0\s*;\s*t=(\d+)", headers.get("ratelimit", ""))
    return float(reset[1]) if reset else None


def _explanation(error: Exception, place: Place) -> tuple[str, str]:
    """Return what went wrong, and what to do."""
    from huggingface_hub import constants, errors, get_token

    while isinstance(error, errors.LocalEntryNotFoundError):  # it only wraps what happened
        if not isinstance(error.__cause__, Exception):
            break
        error = error.__cause__
    repo_id, entry = place.repo_id, place.entry
    page = f"https://huggingface.co/{repo_id}"
    unknown = isinstance(error, errors.RepositoryNotFoundError)
    gated = isinstance(error, errors.GatedRepoError) or (unknown and entry and entry.gated)
    again = f"vtg models pull {entry.name if entry else repo_id}"
    if gated and get_token() is None:
        return (
            f"{repo_id} is gated",
            f"accept its terms at {page}, then `hf auth login`, then `{again}`",
        )
    if gated:
        return (
            f"{repo_id} is gated and your token has no access",
            f"accept its terms at {page}, then `{again}`",
        )
    if unknown:
        return f"the hub has no {repo_id}, or it is private", "check the name, or `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"the hub no longer has the commit of {repo_id} that is on this machine",
            _renew(repo_id),
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo_id} cannot be fetched: HF_HUB_OFFLINE is set", "unset it to download"
    if isinstance(error, errors.HfHubHTTPError):
        return _status_explained(error, repo_id)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left in {constants.HF_HUB_CACHE}", f"free some, then {AGAIN}"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot write to {constants.HF_HUB_CACHE}", "let HF_HOME point elsewhere"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"{repo_id} cannot be fetched from {constants.ENDPOINT}: {reason}",
        f"check the connection, then {AGAIN}",
    )


def _renew(repo_id: str) -> str:
    record, files = cache.record_path(repo_id), cache.repo_folder(repo_id)
    return f"delete {record} and {files} to take what it has now"


def _status_explained(error: Exception, repo_id: str) -> tuple[str, str]:
    response = error.response  # type: ignore[attr-defined]
    status: int = response.status_code
    if status in (401, 403):
        return (
            f"the hub refused access to {repo_id} ({status})",
            "`hf auth login` with a valid token",
        )
    if status == 404 and "/api/models/" in response.url.path:
        return f"the hub has no {repo_id} (404)", "check the name, and HF_ENDPOINT where it is set"
    if status == 404:
        return (
            f"the hub no longer has a file it lists in {repo_id}",
            f"later {AGAIN}; if it stays so, {_renew(repo_id)}",
        )
    if status == 429:
        seconds = asked_wait(response.headers)
        when = f"wait {seconds:.0f} s" if seconds else "wait some minutes"
        return "the hub asks to slow down (429)", f"{when}, then {AGAIN}"
    return f"the hub cannot serve {repo_id} now ({status})", f"later {AGAIN}"
