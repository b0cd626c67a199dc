"""Which files make a model folder; expectations are written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import XT_BESIDE, XT_WANTED, lay_out, small_model

from vtg_cli.errors import WeightsError
from vtg_cli.weights import layout

STEM = "diffusion_pytorch_model"
FULL, HALF = f"{STEM}.safetensors", f"{STEM}.fp16.safetensors"
SHARDS = (f"{STEM}-00001-of-00002.safetensors", f"{STEM}-00002-of-00002.safetensors")
HALF_SHARDS = (f"{STEM}.fp16-00001-of-00002.safetensors", f"{STEM}.fp16-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("names", "half", "full"),
    [
        ([FULL], (FULL,), (FULL,)),
        ([HALF], (HALF,), (HALF,)),
        ([FULL, HALF, "config.json"], (HALF,), (FULL,)),
        (list(reversed(SHARDS)), SHARDS, SHARDS),
        ([*SHARDS, *HALF_SHARDS, f"{FULL}.index.json"], HALF_SHARDS, SHARDS),
        ([SHARDS[1]], (), ()),
        ([f"{STEM}.bin", "model.safetensors", f"{STEM}.ckpt"], (), ()),
        ([], (), ()),
    ],
)
def test_weights_among(names: list[str], half: tuple[str, ...], full: tuple[str, ...]) -> None:
    assert layout.weights_among(names, STEM) == half
    assert layout.weights_among(names, STEM, half=False) == full


def test_nothing_lacks_in_the_published_repository() -> None:
    assert layout.lacking({*XT_WANTED, *XT_BESIDE}) == ()


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("model_index.json", "model_index.json"),
        ("scheduler/scheduler_config.json", "scheduler/scheduler_config.json"),
        ("vae/config.json", "vae/config.json"),
        (f"unet/{HALF}", "unet/diffusion_pytorch_model[.fp16].safetensors"),
        ("image_encoder/model.fp16.safetensors", "image_encoder/model[.fp16].safetensors"),
    ],
)
def test_a_file_that_lacks_is_named(gone: str, named: str, tmp_path: Path) -> None:
    names = set(XT_WANTED) - {gone}
    assert layout.lacking(names) == (named,)
    folder = lay_out(tmp_path, dict.fromkeys(names, b""))
    assert layout.lacking(layout.names_in(folder)) == (named,)


def test_the_feature_extractor_is_fetched_but_not_needed() -> None:
    optional = "feature_extractor/preprocessor_config.json"
    assert layout.lacking(set(XT_WANTED) - {optional}) == ()
    assert optional in layout.fetch_list(XT_WANTED)


def test_a_link_to_nothing_is_no_file(tmp_path: Path) -> None:
    lay_out(tmp_path, dict.fromkeys(XT_WANTED, b""))
    (tmp_path / "unet" / HALF).unlink()
    (tmp_path / "unet" / HALF).symlink_to("../blobs/gone")
    assert layout.lacking(layout.names_in(tmp_path)) == (
        "unet/diffusion_pytorch_model[.fp16].safetensors",
    )


def test_what_is_fetched_of_a_repository_that_is_only_a_u_net() -> None:
    assert layout.fetch_list(["config.json", FULL, "README.md"]) == ("config.json", FULL)
    assert layout.fetch_list(["unet/config.json", f"unet/{HALF}", "x.safetensors"]) == (
        "unet/config.json",
        f"unet/{HALF}",
    )
    assert layout.fetch_list(["svd_xt.safetensors", "README.md"]) == ()


def test_used_files_are_configs_and_weights(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, small_model(*XT_BESIDE))
    used = {file.relative_to(folder).as_posix() for file in layout.used_files(folder)}
    full = {name for name in XT_BESIDE if "/" in name}
    assert used == (set(XT_WANTED) | full) - {"feature_extractor/preprocessor_config.json"}
    unet = {file.name for file in layout.used_files(folder / "unet")}
    assert unet == {"config.json", FULL, HALF}


def test_a_u_net_folder_is_found_as_itself_or_inside(tmp_path: Path) -> None:
    lay_out(tmp_path / "a" / "unet", {"config.json": b"", FULL: b""})
    assert layout.unet_folder(tmp_path / "a") == tmp_path / "a" / "unet"
    assert layout.unet_folder(tmp_path / "a" / "unet") == tmp_path / "a" / "unet"
    assert layout.unet_folder(tmp_path) is None
    assert layout.unet_weights(tmp_path / "a") == (tmp_path / "a" / "unet" / FULL,)


def test_a_pickle_is_named_and_refused(tmp_path: Path) -> None:
    lay_out(tmp_path / "unet", {"config.json": b"", f"{STEM}.bin": b""})
    with pytest.raises(WeightsError) as caught:
        layout.unet_weights(tmp_path)
    assert caught.value.subject == str(tmp_path)
    assert caught.value.hint.startswith(f"{STEM}.bin is a pickle")


def test_a_list_for_a_sentence() -> None:
    assert layout.listed(["a", "b", "c"]) == "a, b, c"
    assert layout.listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_shards_need_the_file_that_tells_what_is_where() -> None:
    names = {
        layout.INDEX,
        "scheduler/scheduler_config.json",
        *(f"{part}/config.json" for part in layout.STEMS),
        *(f"unet/{shard}" for shard in HALF_SHARDS),
        "vae/diffusion_pytorch_model.safetensors",
        "image_encoder/model.fp16.safetensors",
    }
    index = "unet/diffusion_pytorch_model.safetensors.index.fp16.json"
    assert layout.lacking(names) == (index,)
    assert layout.lacking({*names, index}) == ()
    assert set(layout.fetch_list({*names, index})) == {*names, index}
    assert layout.index_of(SHARDS) == (f"{STEM}.safetensors.index.json",)
    assert layout.index_of(("model.fp16.safetensors",)) == layout.index_of(()) == ()
