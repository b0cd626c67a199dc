"""Pulls against a hub on localhost, well and ill behaved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_server import XT, XT_BESIDE, XT_WANTED, Hub, Repository, lay_out_cache, sha256, small_model

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import cache, store, trust
from vtg_cli.weights import hub as client
from vtg_cli.weights.catalog import CATALOG
from vtg_cli.weights.offer import look_up

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
VAE = "vae/diffusion_pytorch_model.fp16.safetensors"
GATED = CATALOG["svd-xt-1.1"].repo_id
REVERSE = CATALOG["svd-reverse"]
OLD, NEW = "0" * 40, "1" * 40


def offer(hub: Hub, repo_id: str = XT, **more: Any) -> Repository:
    hub.repositories[repo_id] = Repository(small_model(*XT_BESIDE), **more)
    return hub.repositories[repo_id]


def pull(name: str = "svd-xt") -> Path:
    return client.pull(look_up(name))


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
    listing = look_up("svd-xt")
    assert listing.size == sum(len(repository.files[name]) for name in XT_WANTED)
    assert listing.missing == listing.size
    folder = client.pull(listing)
    assert folder == store.resolve("svd-xt").folder
    found = {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}
    assert found == set(XT_WANTED)
    assert all((folder / name).read_bytes() == repository.files[name] for name in XT_WANTED)
    assert look_up("svd-xt").missing == 0


def test_progress_runs_from_nothing_to_all(hub: Hub) -> None:
    offer(hub)
    reports: list[tuple[float, str]] = []
    client.pull(look_up("svd-xt"), lambda share, phase: reports.append((share, phase)))
    shares = [share for share, _ in reports]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert {phase for _, phase in reports} == {
        f"{verb} {name}" for verb in ("downloading", "verifying") for name in XT_WANTED
    }


def test_the_first_pull_is_recorded(hub: Hub) -> None:
    repository = offer(hub)
    pull()
    assert trust.read(cache.record_path(XT)) == trust.Record(
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
    assert str(cache.record_path(XT)) in error.hint
    cache.record_path(XT).unlink()
    assert pull().name == NEW


def test_files_another_program_fetched_are_taken_as_they_are(hub: Hub) -> None:
    repository = offer(hub, commit=OLD)
    snapshot = lay_out_cache(XT, repository)
    assert store.recheck("svd-xt") is None  # complete, but nothing is known of it
    hub.requests.clear()
    assert client.pull(look_up("svd-xt", cached=OLD)) == snapshot
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


def test_a_stopped_pull_keeps_what_came(hub: Hub) -> None:
    """Ctrl-C arrives like an exception out of the progress callback; another run goes on there."""
    repository = offer(hub)
    hub.stall[UNET] = [3500]

    def stop(share: float, phase: str) -> None:
        if phase == f"downloading {UNET}" and share > seen[-1]:
            raise KeyboardInterrupt
        seen.append(share)

    seen = [0.0]
    with pytest.raises(KeyboardInterrupt):
        client.pull(look_up("svd-xt"), stop)
    assert store.available() == []
    (part,) = debris()
    blob = repository.files[UNET]
    held = part.stat().st_size
    assert part.name == f"{sha256(blob)}.vtg.incomplete" and 0 < held <= 3500
    assert part.read_bytes() == blob[:held]
    listing = look_up("svd-xt")
    rest = sum(len(repository.files[name]) for name in (UNET, "vae/config.json", VAE))
    assert listing.missing == rest - held
    hub.requests.clear()
    assert pull() == store.resolve("svd-xt").folder
    assert hub.asked == [f"{UNET} bytes={held}-"] and debris() == []
    assert len([r for r in hub.requests if r.startswith("GET /lfs/")]) == 2  # U-Net and VAE


def test_a_hub_that_rewrites_a_commit_is_caught_by_the_record(hub: Hub) -> None:
    repository = offer(hub)
    folder = pull()
    cache.discard(folder / UNET)
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
    assert (
        error.hint
        == f"accept its terms at {page}, then `hf auth login`, then `vtg models pull svd-xt-1.1`"
    )
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
        look_up("svdxt")
    assert hub.requests == []


def test_a_repository_of_another_kind(hub: Hub) -> None:
    hub.repositories["org/text"] = Repository({"config.json": b"{}", "model.safetensors": b"x"})
    assert failure("org/text").message == "org/text: the hub does not offer a model vtg can read"
    hub.repositories[XT] = Repository({"svd_xt.safetensors": b"x"})
    assert failure().message.startswith(
        "svd-xt: the hub does not offer model_index.json, scheduler/scheduler_config.json, "
    )


def test_no_network(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    nobody = "http://127.0.0.1:9"  # the discard port: nothing listens
    monkeypatch.setattr(constants, "ENDPOINT", nobody)
    error = failure()
    assert error.message.startswith(f"{XT} cannot be fetched from {nobody}: ")
    assert error.hint == "check the connection, then pull again; it goes on where it stopped"


def test_offline_mode_is_honoured(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    offer(hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    error = failure()
    assert error.message == f"{XT} cannot be fetched: HF_HUB_OFFLINE is set"
    assert hub.requests == []


def test_a_reverse_u_net_of_a_folder_inside_a_repository(hub: Hub) -> None:
    name = "diffusion_pytorch_model.safetensors"
    files = {"config.json": b"{}", name: b"tuned"}
    inside = {f"{REVERSE.folder}/{file}": data for file, data in files.items()}
    hub.repositories[REVERSE.repo_id] = Repository({**inside, "app.py": b"", "README.md": b""})
    folder = pull("svd-reverse")
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == files
    assert store.recheck("svd-reverse") == folder
    same = f"{REVERSE.repo_id}/{REVERSE.folder}"
    assert look_up(same).missing == 0 and pull(same) == folder


def test_a_single_file_inside_a_repository(hub: Hub) -> None:
    hub.repositories["org/name"] = Repository({"reverse.safetensors": b"delta", "other": b"x"})
    file = pull("org/name/reverse.safetensors")
    assert file.read_bytes() == b"delta"
    assert [f.name for f in file.parent.iterdir()] == ["reverse.safetensors"]


@pytest.mark.parametrize("name", ["dinov2-base", "tooncrafter-fp16", "openclip-vit-h"])
def test_an_entry_of_some_files_fetches_these_alone(name: str, hub: Hub) -> None:
    entry = CATALOG[name]
    files = {file: f"content of {file}".encode() for file in (*entry.files, "else.safetensors")}
    hub.repositories[entry.repo_id] = Repository(files)
    folder = pull(name)
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {f: files[f] for f in entry.files}
    hub.requests.clear()
    assert store.recheck(name) == folder and hub.requests == []
