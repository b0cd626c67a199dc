"""What is removed from the hub's cache, and what is not; room on disks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import XT, Hub, Repository, lay_out_cache, small_model

from vtg_cli.errors import WeightsError
from vtg_cli.weights import cache

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
OLD, NEW = "0" * 40, "1" * 40


def test_discard_keeps_out_of_everything_but_the_cache(hub: Hub, tmp_path: Path) -> None:
    outside = tmp_path / "mine.safetensors"
    outside.write_bytes(b"mine")
    snapshot = lay_out_cache(XT, Repository(small_model()))
    (snapshot / UNET).unlink()
    (snapshot / UNET).symlink_to(outside)
    cache.discard(snapshot / UNET)
    assert not (snapshot / UNET).is_symlink() and outside.read_bytes() == b"mine"


def test_a_blob_goes_with_its_last_name(hub: Hub) -> None:
    old = lay_out_cache(XT, Repository(small_model(), OLD))
    new = lay_out_cache(XT, Repository(small_model(), NEW))
    blob = (old / UNET).resolve()
    cache.forget_files(XT, [old / UNET])
    assert not (old / UNET).is_symlink() and (new / UNET).is_file() and blob.is_file()
    assert not (old / "unet" / "diffusion_pytorch_model.fp16.safetensors").exists()
    cache.forget_files(XT, [new / UNET, new / "unet" / "config.json"])
    assert not blob.exists() and not (new / "unet").exists() and (new / "vae").is_dir()
    assert (old / "unet" / "config.json").is_file()


def test_a_commit_goes_and_leaves_the_others_whole(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model(), OLD))
    new = lay_out_cache(XT, Repository(small_model(), NEW))
    cache.forget_commits(XT, [OLD])
    assert not (new.parent / OLD).exists() and (new / UNET).is_file()
    lay_out_cache("org/copy", Repository(small_model(), NEW))  # a copy has the same commits
    cache.forget_commits(XT, [NEW, "never here"])
    assert not cache.repo_folder(XT).exists()
    assert (cache.repo_folder("org/copy") / "snapshots" / NEW / UNET).is_file()


def test_room_is_counted_by_disk(tmp_path: Path) -> None:
    needs = [(tmp_path / "a" / "b", 3), (tmp_path / "c", 4)]
    cache.check_room("svd", needs, lambda place: 7)
    with pytest.raises(WeightsError) as caught:
        cache.check_room("svd", [(tmp_path / "a", 3 * 10**9), (tmp_path, 10**9)], lambda p: 10**9)
    assert caught.value.message == f"svd needs 4.0 GB more, {tmp_path} has 1.0 GB free"
    assert caught.value.exit_code == 5


def test_free_bytes_of_a_folder_to_be_made(tmp_path: Path) -> None:
    assert cache.free_bytes(tmp_path / "not" / "here") > 0
