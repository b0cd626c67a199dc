"""Pulls against a hub on localhost, well and ill behaved."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from hub_server import XT, XT_BESIDE, XT_WANTED, Hub, Repository, lay_out_cache, sha256, small_model

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import hub as client
from vtg_cli.weights import store, trust
from vtg_cli.weights.catalog import CATALOG

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
GATED = CATALOG["svd-xt-1.1"].repo_id
REVERSE = CATALOG["svd-reverse"]
OLD, NEW = "0" * 40, "1" * 40


def offer(hub: Hub, repo_id: str = XT, **more: Any) -> Repository:
    hub.repositories[repo_id] = Repository(small_model(*XT_BESIDE), **more)
    return hub.repositories[repo_id]


def pull(name: str = "svd-xt") -> Path:
    return client.pull(client.look_up(name))


def failure(name: str = "svd-xt") -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        pull(name)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def debris() -> list[Path]:
    """What a failed transfer must not leave: part files, and links to nothing."""
    from huggingface_hub import constants

    files = list(Path(constants.HF_HUB_CACHE).rglob("*"))
    return [f for f in files if f.name.endswith(".incomplete") or not f.exists()]


def test_a_pull_brings_the_wanted_files_and_no_other(hub: Hub) -> None:
    repository = offer(hub)
    listing = client.look_up("svd-xt")
    assert listing.size == sum(len(repository.files[name]) for name in XT_WANTED)
    assert listing.missing == listing.size
    folder = client.pull(listing)
    assert folder == store.resolve("svd-xt").folder
    found = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert found == set(XT_WANTED)
    assert all((folder / name).read_bytes() == repository.files[name] for name in XT_WANTED)
    assert client.look_up("svd-xt").missing == 0


def test_progress_runs_from_nothing_to_all(hub: Hub) -> None:
    offer(hub)
    reports: list[tuple[float, str]] = []
    client.pull(client.look_up("svd-xt"), lambda share, phase: reports.append((share, phase)))
    shares = [share for share, _ in reports]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert {phase for _, phase in reports} == {
        f"{verb} {name}" for verb in ("downloading", "verifying") for name in XT_WANTED
    }


def test_the_first_pull_is_recorded(hub: Hub) -> None:
    repository = offer(hub)
    pull()
    assert trust.read(client.record_path(XT)) == trust.Record(
        XT,
        repository.commit,
        {n: trust.Known(len(d), sha256(d)) for n in XT_WANTED for d in [repository.files[n]]},
    )


def test_the_recorded_commit_is_pulled_ever_after(hub: Hub) -> None:
    """Main has moved on; what was trusted is what is asked for, until the record is deleted."""
    repository = offer(hub, commit=OLD)
    pull()
    repository.commit = NEW
    error = failure()
    assert error.message == f"the hub no longer has the commit of {XT} that is on this machine"
    assert str(client.record_path(XT)) in error.hint
    client.record_path(XT).unlink()
    assert pull().name == NEW


def test_files_another_program_fetched_are_taken_as_they_are(hub: Hub) -> None:
    repository = offer(hub, commit=OLD)
    snapshot = lay_out_cache(XT, repository)
    assert store.recheck("svd-xt") is None  # complete, but nothing is known of it
    hub.requests.clear()
    assert client.pull(client.look_up("svd-xt", here=OLD)) == snapshot
    assert [r for r in hub.requests if "resolve" in r or "lfs" in r] == []
    assert store.recheck("svd-xt") == snapshot


def test_a_second_pull_fetches_only_what_is_missing(hub: Hub) -> None:
    offer(hub)
    folder = pull()
    (folder / UNET).resolve().unlink()
    (folder / UNET).unlink()
    hub.requests.clear()
    assert pull() == folder
    assert len([r for r in hub.requests if r.startswith("GET /lfs/")]) == 1


def test_a_recheck_needs_no_network_and_removes_what_is_damaged(hub: Hub) -> None:
    repository = offer(hub)
    folder = pull()
    hub.requests.clear()
    assert store.recheck("svd-xt") == folder
    blob = (folder / UNET).resolve()
    blob.write_bytes(bytes(len(repository.files[UNET])))  # same size, other content
    assert store.recheck("svd-xt") is None
    assert hub.requests == [] and not blob.exists() and debris() == []
    assert pull() == folder and store.recheck("svd-xt") == folder


def test_a_cut_file_is_resumed_where_it_broke(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    repository = offer(hub)
    hub.cut[UNET] = [3500]
    folder = pull()
    assert hub.ranges == [f"{UNET} bytes=3000-"]  # whole chunks of 1000 had been kept
    assert (folder / UNET).read_bytes() == repository.files[UNET]


def test_a_stopped_pull_keeps_finished_files_and_leaves_no_debris(hub: Hub) -> None:
    """Ctrl-C arrives like an exception out of the progress callback."""
    offer(hub)

    def stop(share: float, phase: str) -> None:
        if phase == f"downloading {UNET}" and share > seen[-1]:
            raise KeyboardInterrupt
        seen.append(share)

    seen = [0.0]
    with pytest.raises(KeyboardInterrupt):
        client.pull(client.look_up("svd-xt"), stop)
    assert debris() == [] and store.available() == []
    hub.requests.clear()
    pull()
    assert len([r for r in hub.requests if r.startswith("GET /lfs/")]) == 2  # U-Net and VAE


def test_a_swapped_file_is_refused_and_removed(hub: Hub) -> None:
    """Same size, other bytes: the client itself does not notice."""
    repository = offer(hub)
    hub.swap[UNET] = bytes(len(repository.files[UNET]))
    error = failure()
    assert error.message == (
        f"{UNET} of svd-xt has other content than the hub announced; it was removed"
    )
    assert debris() == [] and store.available() == []
    hub.swap.clear()
    assert pull() == store.resolve("svd-xt").folder


def test_a_swapped_config_is_refused_too(hub: Hub) -> None:
    repository = offer(hub)
    hub.swap["unet/config.json"] = bytes(len(repository.files["unet/config.json"]))
    assert failure().message.startswith("unet/config.json of svd-xt has other content")


def test_a_hub_that_rewrites_a_commit_is_caught_by_the_record(hub: Hub) -> None:
    repository = offer(hub)
    folder = pull()
    client.discard(folder / UNET)
    repository.files[UNET] = b"other weights under the same commit"
    assert failure().message == (
        f"{UNET} of svd-xt has other content than the first pull recorded; it was removed"
    )
    assert debris() == []


def test_a_gated_repository(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(hub, GATED, gated="hf_right")
    page = f"https://huggingface.co/{GATED}"
    error = failure("svd-xt-1.1")
    assert error.message == f"{GATED} is gated"
    assert error.hint == f"accept its terms at {page}, then `hf auth login`"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    error = failure("svd-xt-1.1")
    assert error.message == f"{GATED} is gated and your token has no access"
    assert page in error.hint
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert pull("svd-xt-1.1") == store.resolve("svd-xt-1.1").folder


def test_a_gated_repository_that_hides_itself(hub: Hub) -> None:
    """Without a token some answers do not tell gated from missing; the catalogue knows."""
    assert failure("svd-xt-1.1").message == f"{GATED} is gated"


def test_an_unknown_repository(hub: Hub) -> None:
    error = failure("org/gone")
    assert error.message == "the hub has no org/gone, or it is private"
    assert error.subject == "org/gone"


def test_what_is_no_name_is_not_looked_up(hub: Hub) -> None:
    with pytest.raises(UsageError):
        client.look_up("svdxt")
    assert hub.requests == []


def test_a_repository_of_another_kind(hub: Hub) -> None:
    hub.repositories["org/text"] = Repository({"config.json": b"{}", "model.safetensors": b"x"})
    assert failure("org/text").message == "org/text: the hub does not offer a model vtg can read"
    hub.repositories[XT] = Repository({"svd_xt.safetensors": b"x"})
    assert failure().message.startswith(
        "svd-xt: the hub does not offer model_index.json, scheduler/scheduler_config.json, "
    )


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, f"the hub refused access to {XT} (403)"),
        (429, "the hub asks to slow down (429)"),
        (500, f"the hub cannot serve {XT} now (500)"),
    ],
)
def test_other_answers(hub: Hub, status: int, message: str) -> None:
    offer(hub)
    hub.status = status
    assert failure().message == message


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    nobody = "http://127.0.0.1:9"  # the discard port: nothing listens
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    error = failure()
    assert error.message.startswith(f"{XT} cannot be fetched from {nobody}: ")
    assert error.hint == "check the connection, then pull again; finished files are kept"


def test_offline_mode_is_honoured(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    offer(hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    error = failure()
    assert error.message == f"{XT} cannot be fetched: HF_HUB_OFFLINE is set"
    assert hub.requests == []


def test_a_disk_too_small_is_said_before_the_first_byte(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(hub)
    listing = client.look_up("svd-xt")
    hub.requests.clear()
    usage = type(shutil.disk_usage("/"))(10**12, 10**12, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(WeightsError, match=r"svd-xt needs 0\.0 GB more, .* has 0\.0 GB free"):
        client.pull(listing)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("number", "message"), [(errno.ENOSPC, "no space left in "), (errno.EROFS, "cannot write to ")]
)
def test_a_disk_that_fails_in_between(
    hub: Hub, number: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def full(*args: object, **options: object) -> str:
        raise OSError(number, "the kernel's words")

    offer(hub)
    listing = client.look_up("svd-xt")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(WeightsError) as caught:
        client.pull(listing)
    assert caught.value.message.startswith(message)


def test_a_reverse_u_net_of_a_folder_inside_a_repository(hub: Hub) -> None:
    name = "diffusion_pytorch_model.safetensors"
    files = {"config.json": b"{}", name: b"tuned"}
    inside = {f"{REVERSE.folder}/{file}": data for file, data in files.items()}
    hub.repositories[REVERSE.repo_id] = Repository({**inside, "app.py": b"", "README.md": b""})
    folder = pull("svd-reverse")
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == files
    assert store.recheck("svd-reverse") == folder
    same = f"{REVERSE.repo_id}/{REVERSE.folder}"
    assert client.look_up(same).missing == 0 and pull(same) == folder


def test_a_single_file_inside_a_repository(hub: Hub) -> None:
    hub.repositories["org/name"] = Repository({"reverse.safetensors": b"delta", "other": b"x"})
    file = pull("org/name/reverse.safetensors")
    assert file.read_bytes() == b"delta"
    assert [f.name for f in file.parent.iterdir()] == ["reverse.safetensors"]


def test_discard_keeps_out_of_everything_but_the_cache(hub: Hub, tmp_path: Path) -> None:
    outside = tmp_path / "mine.safetensors"
    outside.write_bytes(b"mine")
    snapshot = lay_out_cache(XT, Repository(small_model()))
    (snapshot / UNET).unlink()
    (snapshot / UNET).symlink_to(outside)
    client.discard(snapshot / UNET)
    assert not (snapshot / UNET).is_symlink() and outside.read_bytes() == b"mine"
