"""The table of docs/models.md: a hub on localhost does each of these things, one test a row.

After every fault the cache holds nothing under a finished name that is not what the hub announced.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hub_server import (
    XT,
    XT_WANTED,
    Hub,
    Repository,
    info_of,
    lay_out_cache,
    sha256,
    small_model,
)

from vtg_cli.cli import main
from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache, faults, licence, store, transfer
from vtg_cli.weights import hub as client
from vtg_cli.weights.catalog import CATALOG
from vtg_cli.weights.offer import look_up

ROOT = Path(__file__).resolve().parents[2]
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
CONFIG = "unet/config.json"
FILES = small_model()
SIZE = len(FILES[UNET])


@pytest.fixture(autouse=True)
def repository(hub: Hub) -> Repository:
    hub.repositories[XT] = Repository(dict(FILES))
    return hub.repositories[XT]


@pytest.fixture(autouse=True)
def nothing_corrupt(hub: Hub) -> Any:
    """After each test: every finished file in the cache is one the hub has, whole."""
    yield
    right = set(FILES.values())
    for file in cache.repo_folder(XT).rglob("*"):
        assert file.exists(), f"{file} leads nowhere"
        if file.is_file() and file.suffix != ".incomplete" and file.parent.name != "refs":
            assert file.read_bytes() in right, file


def pull(**options: Any) -> Path:
    return client.pull(look_up("svd-xt"), **options)


def failure() -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        pull()
    assert caught.value.exit_code == 5 and "\n" not in caught.value.message + caught.value.hint
    return caught.value


def parts() -> list[Path]:
    return [*cache.repo_folder(XT).rglob("*.incomplete")]


def complete() -> bool:
    return store.available() == ["svd-xt"] and parts() == []


def test_cut_in_mid_file(hub: Hub) -> None:
    """Gone on with a range request, without losing a byte."""
    hub.cut[UNET] = [3500, 1000]
    pull()
    assert hub.asked == [f"{UNET} bytes=3500-", f"{UNET} bytes=4500-"]
    assert hub.waits == [1, 1] and complete()


def test_cut_again_and_again(hub: Hub) -> None:
    """Given up after five attempts without a byte; the next pull goes on there."""
    hub.cut[UNET] = [3500, 0, 0, 0, 0, 0]
    error = failure()
    assert error.message.startswith(f"{XT} cannot be fetched from {hub.url}: ")
    assert error.hint == "check the connection, then pull again; it goes on where it stopped"
    assert [part.stat().st_size for part in parts()] == [3500] and store.available() == []
    hub.cut.clear()
    hub.asked.clear()
    pull()
    assert hub.asked == [f"{UNET} bytes=3500-"] and complete()


def test_the_process_is_killed(hub: Hub) -> None:
    """A real one, by a signal that nobody can catch."""
    hub.stall[UNET] = [3500]
    licence.accept(CATALOG["svd-xt"], "2026-01-02")
    pulling = subprocess.Popen(
        [sys.executable, "-m", "vtg_cli", "models", "pull", "svd-xt"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size == 3500 for part in parts()) and time.monotonic() < deadline:
        time.sleep(0.02)
    pulling.kill()
    pulling.wait()
    pull()
    assert hub.asked == [f"{UNET} bytes=3500-"] and complete()


def test_cut_and_the_server_knows_no_ranges(hub: Hub) -> None:
    hub.cut[UNET], hub.ranges = [3500], False
    pull()
    assert complete()


def test_ended_early_as_if_that_were_all(hub: Hub) -> None:
    hub.cut[UNET] = [-3500]
    pull()
    assert hub.asked == [f"{UNET} bytes=3500-"] and complete()


@pytest.mark.parametrize("name", [UNET, CONFIG])
def test_other_content_of_the_same_size(name: str, hub: Hub) -> None:
    hub.swap[name] = bytes(len(FILES[name]))
    error = failure()
    assert error.message == (
        f"{name} of svd-xt has other content than the hub announced; it was removed"
    )
    assert "do not trust the source" in error.hint
    assert parts() == [] and store.available() == []
    hub.swap.clear()
    pull()
    assert complete()


def test_more_content_than_announced(hub: Hub) -> None:
    hub.swap[UNET] = bytes(SIZE + 1)
    assert failure().message.endswith(f"more than the announced {SIZE} bytes came")
    assert [part.stat().st_size for part in parts()] == [0]


@pytest.mark.parametrize("status", [401, 403])
def test_access_refused(status: int, hub: Hub) -> None:
    hub.refuse[UNET] = [(status, {})]
    error = failure()
    assert error.message == f"the hub refused access to {XT} ({status})"
    assert error.hint == "`hf auth login` with a valid token" and hub.waits == []


@pytest.mark.parametrize("status", [401, 403])
def test_access_refused_at_the_first_question(status: int, hub: Hub) -> None:
    hub.refuse["api"] = [(status, {})]
    assert failure().message in (
        f"the hub refused access to {XT} ({status})",
        f"the hub has no {XT}, or it is private",
    )


def test_a_listed_file_is_gone(hub: Hub) -> None:
    hub.refuse[UNET] = [(404, {})]
    error = failure()
    assert error.message == f"the hub no longer has a file it lists in {XT}"
    assert f"delete {cache.record_path(XT)} and {cache.repo_folder(XT)}" in error.hint
    assert hub.waits == []


def test_what_answers_is_no_hub(hub: Hub) -> None:
    hub.refuse["api"] = [(404, {})]
    error = failure()
    assert error.message == f"the hub has no {XT} (404)" and hub.waits == []
    assert error.hint == "check the name, and HF_ENDPOINT where it is set"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rfilename", ["unet/config.json"]),
        ("rfilename", 3),
        ("size", [3]),
        ("size", "3"),
        ("size", -1),
        ("size", 0.5),
        ("size", True),
        ("size", 1 << 50),
        ("blobId", 3),
        ("blobId", "../../x"),
        ("lfs", {"size": 3, "sha256": [], "pointerSize": 134}),
        ("lfs", {"size": 3, "sha256": "../" * 21 + "x", "pointerSize": 134}),
    ],
)
def test_a_listing_that_makes_no_sense(
    field: str, value: object, hub: Hub, repository: Repository
) -> None:
    answer = info_of(XT, repository)
    answer["siblings"] = [{**file, field: value} for file in answer["siblings"]]
    hub.listing = json.dumps(answer).encode()
    assert failure().message.startswith("svd-xt: the hub's answer is damaged: ")
    hub.listing = None
    pull()
    assert complete()


def test_slow_down_is_obeyed(hub: Hub) -> None:
    hub.refuse["api"] = [(429, {"Retry-After": "7"})]
    hub.refuse[UNET] = [(429, {"ratelimit": '"resolvers";r=0;t=11'}), (429, {})]
    pull()
    assert hub.waits == [7, 11, 2] and complete()


def test_slow_down_for_too_long_is_told(hub: Hub) -> None:
    hub.refuse[UNET] = [(429, {"Retry-After": "300"})]
    error = failure()
    assert error.message == "the hub asks to slow down (429)"
    assert error.hint == "wait 300 s, then pull again; it goes on where it stopped"
    assert hub.waits == []


@pytest.mark.parametrize("where", ["api", UNET])
def test_a_failing_server_is_asked_again(where: str, hub: Hub) -> None:
    hub.refuse[where] = [(500, {}), (503, {}), (502, {})]
    pull()
    assert hub.waits == [1, 2, 4] and complete()


@pytest.mark.parametrize("where", ["api", UNET])
def test_a_server_that_goes_on_failing(where: str, hub: Hub) -> None:
    hub.refuse[where] = [(500, {})] * transfer.ATTEMPTS
    error = failure()
    assert error.message == f"the hub cannot serve {XT} now (500)"
    assert error.hint == "later pull again; it goes on where it stopped"
    assert hub.waits == [1, 2, 4, 8]


def test_everything_fails(hub: Hub) -> None:
    hub.status = 500
    assert failure().message == f"the hub cannot serve {XT} now (500)"


def test_slow_but_steady_is_told_as_it_comes(hub: Hub) -> None:
    hub.drip[UNET] = 500
    shares: list[float] = []
    pull(on_progress=lambda share, doing: shares.append(share))
    assert shares == sorted(shares) and len(shares) > 3 * len(XT_WANTED) and shares[-1] == 1
    assert hub.waits == [] and complete()


def test_a_line_that_goes_silent(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_DOWNLOAD_TIMEOUT, the client's own setting, tells silence from slowness."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.stall[UNET] = [3500]
    pull()
    assert hub.asked == [f"{UNET} bytes=3500-"] and hub.waits == [1] and complete()


def test_a_hub_that_does_not_answer(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.stall["api"] = [0]
    assert failure().message.startswith(f"{XT} cannot be fetched from {hub.url}: ")
    pull()
    assert complete()


def test_no_room_is_said_before_the_first_byte(hub: Hub) -> None:
    listing = look_up("svd-xt")
    hub.requests.clear()
    need = sum(len(content) for content in FILES.values())
    with pytest.raises(WeightsError, match=r"svd-xt needs \d+ kB more, .* has 999 bytes free"):
        client.pull(listing, free=lambda folder: 999)
    with pytest.raises(WeightsError):
        client.pull(listing, free=lambda folder: need - 1)
    assert hub.requests == [] and parts() == []
    client.pull(listing, free=lambda folder: need)
    assert complete()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left in "),
        (errno.EDQUOT, "no space left in "),
        (errno.EROFS, "cannot write to "),
    ],
)
def test_a_disk_that_fills_up_meanwhile(
    hub: Hub, number: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came stays, and the next pull goes on there."""
    hub.stall[UNET] = [3500]

    class Full:
        """A file on a disk that takes no more after the first piece."""

        def __init__(self, file: Any) -> None:
            self.file, self.taken = file, False

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, chunk: bytes) -> None:
            self.file.write(chunk[:1000])
            raise OSError(number, "the kernel's words")

    def opened(part: Path, real: Any = transfer._opened) -> Any:
        return Full(real(part)) if part.name.startswith(sha256(FILES[UNET])) else real(part)

    with monkeypatch.context() as patched:
        patched.setattr(transfer, "_opened", opened)
        assert failure().message.startswith(message)
    assert [part.stat().st_size for part in parts()] == [1000] and hub.waits == []
    pull()
    assert hub.asked == [f"{UNET} bytes=1000-"] and complete()


def test_two_pulls_at_once(hub: Hub) -> None:
    """They take turns, and the second finds everything here."""
    said: list[str] = []
    folders: list[Path] = []
    begun = threading.Event()

    def first(share: float, doing: str) -> None:
        begun.set()
        if not any("waiting" in text for text in said):
            waiting.wait(5)

    def second(share: float, doing: str) -> None:
        said.append(doing)
        waiting.set()

    waiting = threading.Event()
    listing = look_up("svd-xt")
    one = threading.Thread(target=lambda: folders.append(client.pull(listing, first)))
    one.start()
    assert begun.wait(5)
    folders.append(client.pull(listing, second))
    one.join()
    assert said[0] == f"waiting for another pull of {XT}"
    assert not [text for text in said if text.startswith("downloading")]
    assert folders[0] == folders[1] and complete()
    assert len([r for r in hub.requests if r.startswith("GET /lfs/")]) == 3  # each file once


def test_a_snapshot_with_a_missing_file(hub: Hub) -> None:
    folder = pull()
    blob = (folder / UNET).resolve()
    blob.unlink()  # the link stays and leads nowhere
    with pytest.raises(WeightsError, match=r"svd-xt is not complete: .* lacks unet/"):
        store.resolve("svd-xt")
    hub.requests.clear()
    assert pull() == folder and complete()
    assert len([r for r in hub.requests if r.startswith("GET /lfs/")]) == 1


def test_a_file_that_rotted_on_the_disk_is_fetched_again(hub: Hub) -> None:
    folder = pull()
    (folder / UNET).resolve().write_bytes(bytes(SIZE))
    assert pull() == folder and complete()
    assert (folder / UNET).read_bytes() == FILES[UNET]


def test_a_disk_without_links_has_the_files_themselves(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "symlink", refuse)
    folder = pull()
    assert complete() and not (folder / UNET).is_symlink()
    assert [*(cache.repo_folder(XT) / "blobs").iterdir()] == []  # one copy is enough
    assert store.recheck("svd-xt") == folder


OUT = "../../x"


@pytest.mark.parametrize("field", ["sha", "blobId", "sha256", "etag"])
def test_what_a_server_says_is_no_path(
    field: str, hub: Hub, repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what it sends, a commit and the hashes name files: nothing lands beside them."""
    answer = info_of(XT, repository)
    for file in answer["siblings"]:
        if field == "blobId":
            file[field] = OUT
        elif "lfs" in file:
            file["lfs"] |= {field: OUT} if field == "sha256" else {}
    hub.listing = json.dumps(answer | ({field: OUT} if field == "sha" else {})).encode()
    hub.etag = OUT
    code = main(["models", "pull", "svd-xt", "--accept-licence"])
    *_, error, hint = capsys.readouterr().err.splitlines()
    if field == "etag":  # which is asked of nobody
        assert code == 0 and complete()
    else:
        assert code == 5 and error.startswith("vtg: svd-xt: the hub's answer is damaged: the ")
        assert hint.strip() == "nothing was written; check HF_ENDPOINT where it is set"
    files = {file for file in tmp_path.rglob("*") if file.is_file()}
    places = {file.relative_to(tmp_path / "hf").parts[:3] for file in files}
    kept = {("hub", cache.repo_folder(XT).name, kind) for kind in ("blobs", "snapshots")}
    own = {("assets", "vtg", name) for name in ("licences.json", "trust")}
    assert places == (own | kept if field == "etag" else {("assets", "vtg", "licences.json")})
    blobs = {file.name for file in files if file.parent.name == "blobs"}
    assert all(re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name) for name in blobs)


def test_a_commit_that_is_a_path_is_not_followed(hub: Hub, repository: Repository) -> None:
    """In the cache, where other programs write it down as a server says it."""
    folder = lay_out_cache(XT, repository)
    (folder.parents[1] / "refs" / "main").write_text("../../x")
    shutil.copytree(folder, folder.parents[2] / "x")
    assert [*store.snapshots(XT)] == [folder]
    shutil.rmtree(folder.parents[2] / "x")


def test_short_files_for_ever_end_in_a_line(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    """Without ranges, each as if it were whole: five times the same 3500 bytes."""
    hub.ranges, hub.cut[UNET] = False, [-3500] * 99
    assert main(["models", "pull", "svd-xt", "--accept-licence"]) == 5
    *_, error, hint = capsys.readouterr().err.splitlines()
    reason = f"3500 of the announced {SIZE} bytes came"
    assert error == f"vtg: {XT} cannot be fetched from {hub.url}: {reason}"
    assert hint.strip() == "check the connection, then pull again; it goes on where it stopped"
    lines = [request for request in hub.requests if request.endswith(f"/lfs/{sha256(FILES[UNET])}")]
    assert lines == [f"GET /lfs/{sha256(FILES[UNET])}"] * transfer.ATTEMPTS
    assert hub.waits == [1, 2, 4, 8] and [part.stat().st_size for part in parts()] == [3500]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"ratelimit": '"api";r=0;t=55'}, 55),
        ({"ratelimit": '"api";r=3;t=55'}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert faults.asked_wait(headers) == seconds


def test_what_a_server_has_the_client_log_reaches_no_terminal(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub.utils import logging

    logger = logging.get_logger("huggingface_hub")
    level = logging.get_verbosity()
    warned = {"X-HF-Warning": "vtg-test; \x1b[2Jpay here"}
    hub.refuse["api"] = [(503, warned)]
    hub.refuse[UNET] = [(403, warned)]
    logger.addHandler(caplog.handler)
    try:
        failure()
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.messages == []
    assert logging.get_verbosity() == level
