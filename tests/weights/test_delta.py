"""Deltas against numpy on the same files; the file format against safetensors' own reader."""

from __future__ import annotations

import json
import resource
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import lay_out, sha256
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_tensors

from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights import delta

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
TUNED, BASE = PARITY / "tiny_svd_reverse", PARITY / "tiny_svd_base14"
STEM = "diffusion_pytorch_model"
RULE = (
    "temporal_transformer_blocks.0.attn1.to_v",
    "temporal_transformer_blocks.0.attn1.to_out.0",
)
LAYER = "mid_block.attentions.0.temporal_transformer_blocks.0.attn1"
V, OUT, BIAS = f"{LAYER}.to_v.weight", f"{LAYER}.to_out.0.weight", f"{LAYER}.to_out.0.bias"

Arrays = dict[str, NDArray[np.generic]]


def recorded(folder: Path) -> Arrays:
    found: Arrays = load_file(folder / "unet" / f"{STEM}.safetensors")
    return found


def expected() -> Arrays:
    """The reference's rule, on the files the reference was run with."""
    tuned, base = recorded(TUNED), recorded(BASE)
    both = {
        name: tuned[name].astype(np.float32) - base[name].astype(np.float32)
        for name in tuned
        if any(part in name for part in RULE)
    }
    return {name: value for name, value in both.items() if value.any()}


def network(seed: int = 0, dtype: type = np.float32, **change: NDArray[np.generic]) -> Arrays:
    draw = np.random.default_rng(seed)
    sizes = {V: (8, 8), OUT: (8, 8), BIAS: (8,), "conv_in.weight": (4, 4)}
    arrays = {name: draw.normal(size=size).astype(dtype) for name, size in sizes.items()}
    return {**arrays, **change}


def unet(folder: Path, arrays: Arrays, name: str = f"{STEM}.safetensors") -> Path:
    lay_out(folder, {"config.json": b"{}"})
    save_file(arrays, folder / name)
    return folder


def refusal(tuned: Path, base: Path) -> VtgError:
    with pytest.raises(VtgError) as caught:
        delta.from_pair(tuned, base)
    return caught.value


def test_the_recorded_pair_differs_as_numpy_says() -> None:
    """Both are exact in float32, so the tolerance is zero. Equal biases leave no tensor."""
    found = delta.from_pair(TUNED, BASE)
    oracle = expected()
    assert set(found) == set(oracle) and len(oracle) == 8
    for name, value in oracle.items():
        assert found[name].dtype == torch.float32
        assert np.array_equal(found[name].numpy(), value)


@pytest.mark.parametrize(
    ("dtype", "unit"),
    [("fp32", 0.0), ("fp16", 2.0**-11)],  # half an ulp of fp16, relative
)
def test_written_and_loaded(dtype: str, unit: float, tmp_path: Path) -> None:
    out = tmp_path / "new" / "reverse.safetensors"
    written = delta.write(TUNED, BASE, out, dtype=dtype)
    oracle = expected()
    found = delta.load(out)
    assert set(found) == set(oracle)
    for name, value in oracle.items():
        assert found[name].dtype == torch.float32
        error = np.abs(found[name].numpy() - value)
        assert (error <= unit * np.abs(value) + unit * 2.0**-14).all()  # and its subnormals
    numbers = sum(value.size for value in oracle.values())
    assert written == delta.Written(out, out.stat().st_size, 8, numbers, 4)
    assert [file.name for file in out.parent.iterdir()] == [out.name]


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    delta.write(TUNED, BASE, out)
    with safe_open(out, "np") as opened:
        about = json.loads(opened.metadata()["vtg-reverse-delta"])
        assert {opened.get_slice(name).get_dtype() for name in expected()} == {"F16"}
    names = ("config.json", f"{STEM}.safetensors")
    assert about == {
        "version": 1,
        "tuned": {name: sha256((TUNED / "unet" / name).read_bytes()) for name in names},
        "base": {name: sha256((BASE / "unet" / name).read_bytes()) for name in names},
    }


def test_the_same_pair_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.safetensors" for i in range(4)]
    for file in files:
        delta.write(TUNED, BASE, file)
    assert len({file.read_bytes() for file in files}) == 1


def test_full_size(tmp_path: Path) -> None:
    """The published U-Net has 16 temporal attentions: 5 of width 320, 5 of 640, 6 of 1280."""
    widths = [320] * 5 + [640] * 5 + [1280] * 6
    draw = np.random.default_rng(0)
    base, tuned = {}, {}
    for i, width in enumerate(widths):
        layer = f"block.{i}.temporal_transformer_blocks.0.attn1"
        for part in ("to_v", "to_out.0"):
            base[f"{layer}.{part}.weight"] = np.zeros((width, width), np.float16)
            tuned[f"{layer}.{part}.weight"] = draw.integers(1, 9, (width, width), np.uint16).view(
                np.float16
            )
        base[f"{layer}.to_out.0.bias"] = tuned[f"{layer}.to_out.0.bias"] = np.ones(
            width, np.float16
        )
    out = tmp_path / "reverse.safetensors"
    written = delta.write(unet(tmp_path / "t", tuned), unet(tmp_path / "b", base), out)
    assert (written.tensors, written.numbers, written.unchanged) == (32, 24_780_800, 16)
    assert 2 * 24_780_800 < written.size < 2 * 24_780_800 + 10_000  # and the header


def test_a_float32_tuning_of_a_half_precision_base(tmp_path: Path) -> None:
    """What was not tuned differs by the base's rounding alone, which is no delta."""
    exact = network(1)
    half = {name: value.astype(np.float16) for name, value in exact.items()}
    tuned = {**exact, V: exact[V] + np.float32(0.25)}
    found = delta.from_pair(unet(tmp_path / "t", tuned), unet(tmp_path / "b", half))
    assert set(found) == {V}
    assert np.array_equal(found[V].numpy(), tuned[V] - half[V].astype(np.float32))


def test_full_precision_wins_over_the_half_precision_variant(tmp_path: Path) -> None:
    tuned = unet(tmp_path / "t", network(1))
    unet(tmp_path / "t", network(2, np.float16), f"{STEM}.fp16.safetensors")
    found = delta.from_pair(tuned, unet(tmp_path / "b", network(3)))
    assert np.array_equal(found[OUT].numpy(), network(1)[OUT] - network(3)[OUT])


def test_sharded_weights(tmp_path: Path) -> None:
    whole = network(1)
    folder = lay_out(tmp_path / "t" / "unet", {"config.json": b"{}"})
    shards = [{V: whole[V]}, {name: value for name, value in whole.items() if name != V}]
    for i, shard in enumerate(shards, 1):
        save_file(shard, folder / f"{STEM}-{i:05}-of-00002.safetensors")
    (folder / f"{STEM}.safetensors.index.json").write_text("{}")
    found = delta.from_pair(tmp_path / "t", unet(tmp_path / "b", network(2)))
    assert np.array_equal(found[V].numpy(), whole[V] - network(2)[V])
    assert len(found) == 3


def test_only_the_tuned_tensors_are_read(tmp_path: Path) -> None:
    """Beside 3 GB of other parameters (a hole in a sparse file) memory grows by far less."""
    small = {name: network(1)[name] for name in (V, OUT, BIAS)}
    offset, header = 0, {}
    for name, value in small.items():
        header[name] = {
            "dtype": "F32",
            "shape": value.shape,
            "data_offsets": [offset, offset + value.nbytes],
        }
        offset += value.nbytes
    hole = 3 * 10**9
    header["conv_in.weight"] = {
        "dtype": "F16",
        "shape": [hole // 2],
        "data_offsets": [offset, offset + hole],
    }
    text = json.dumps(header).encode()
    tuned = lay_out(tmp_path / "t", {"config.json": b"{}"})
    with (tuned / f"{STEM}.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.write(b"".join(value.tobytes() for value in small.values()))
        file.truncate(8 + len(text) + offset + hole)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = delta.from_pair(tuned, unet(tmp_path / "b", network(2)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert np.array_equal(found[V].numpy(), small[V] - network(2)[V])
    assert grown * (1 if sys.platform == "darwin" else 1024) < 3 * 10**8


def test_networks_that_do_not_match(tmp_path: Path) -> None:
    base = unet(tmp_path / "b", network(0))
    fewer = network(1)
    del fewer[BIAS]
    error = refusal(unet(tmp_path / "fewer", fewer), base)
    assert error.message == f"{base} has {BIAS}, {tmp_path / 'fewer'} lacks it"
    assert error.subject == BIAS
    wider = unet(tmp_path / "wider", network(1) | {V: np.zeros((9, 8), np.float32)})
    assert refusal(wider, base).message == f"{V} is [9, 8] in {wider}, [8, 8] in {base}"
    broken = network(1)
    broken[OUT][3, 3] = np.nan
    error, file = (
        refusal(unet(tmp_path / "nan", broken), base),
        "diffusion_pytorch_model.safetensors",
    )
    assert error.subject == OUT and error.message == (
        f"{tmp_path / 'nan' / file} is damaged: {OUT} holds values that are not numbers"
    )


def test_the_same_network_twice() -> None:
    error = refusal(BASE, BASE)
    assert type(error) is WeightsError and "there is nothing to keep" in error.message


def test_networks_of_another_kind(tmp_path: Path) -> None:
    image = unet(tmp_path / "image", {"conv_in.weight": np.zeros(3, np.float32)})
    assert refusal(image, BASE).message == f"the network in {image} has no temporal self-attention"
    assert refusal(tmp_path, BASE).message.startswith(f"{tmp_path} holds no U-Net")


def test_a_truncated_network(tmp_path: Path) -> None:
    tuned = unet(tmp_path / "t", network(1))
    file = tuned / f"{STEM}.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    error = refusal(tuned, BASE)
    assert error.message.startswith(f"{file} cannot be read: ") and error.subject == str(file)


def test_a_change_too_large_for_half_precision(tmp_path: Path) -> None:
    tuned = unet(tmp_path / "t", network(1) | {V: np.full((8, 8), 70_000, np.float32)})
    base = unet(tmp_path / "b", network(1) | {V: np.zeros((8, 8), np.float32)})
    out = tmp_path / "reverse.safetensors"
    with pytest.raises(WeightsError) as caught:
        delta.write(tuned, base, out)
    assert caught.value.message == f"{V} changes by 7e+04, too much for half precision"
    assert caught.value.hint == "--dtype fp32" and not out.exists()
    delta.write(tuned, base, out, dtype="fp32")
    assert (delta.load(out)[V] == 70_000).all()


def test_where_it_may_be_written(tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists"):
        delta.write(TUNED, BASE, out)
    assert out.read_bytes() == b"mine"
    delta.write(TUNED, BASE, out, overwrite=True)
    assert len(delta.load(out)) == 8
    for name in ("reverse.pt", "reverse", ""):
        with pytest.raises(UsageError, match=r"end it in|is no name"):
            delta.write(TUNED, BASE, tmp_path / name)
    with pytest.raises(UsageError, match="bf16"):
        delta.write(TUNED, BASE, tmp_path / "x.safetensors", dtype="bf16")
    with pytest.raises(WeightsError, match="cannot be written"):
        delta.write(TUNED, BASE, out / "x.safetensors")


ABOUT = {"vtg-reverse-delta": '{"version": 1}'}
GOOD = {V: torch.ones(2, 2)}


@pytest.mark.parametrize(
    ("tensors", "header", "message"),
    [
        (
            GOOD,
            {"vtg-reverse-delta": '{"version": 2}'},
            "is a delta of version 2, this vtg reads 1",
        ),
        (GOOD, {"vtg-reverse-delta": "[]"}, "is a delta of version None"),
        (GOOD, {"vtg-reverse-delta": "{"}, "cannot be read as a delta file"),
        (GOOD, None, "is a whole U-Net, not a delta"),
        ({"lora.up": torch.ones(2)}, {"format": "pt"}, "is no reverse-motion delta"),
        ({}, ABOUT, "is damaged: it is empty"),
        ({"conv_in.weight": torch.ones(2)}, ABOUT, "is damaged: conv_in.weight does not belong"),
        ({f"{LAYER}.to_v.lora": torch.ones(2)}, ABOUT, f"is damaged: {LAYER}.to_v.lora"),
        ({V: torch.ones(2, dtype=torch.int8)}, ABOUT, f"is damaged: {V} does not belong"),
        ({V: torch.tensor([torch.nan])}, ABOUT, f"is damaged: {V} holds values that are no"),
    ],
)
def test_files_that_are_no_delta(
    tensors: dict[str, torch.Tensor], header: dict[str, str] | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.safetensors"
    save_tensors(tensors, file, header)
    with pytest.raises(WeightsError) as caught:
        delta.load(file)
    assert caught.value.message.startswith(f"{file} {message}")


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\x80\x04pickle" * 9])
def test_files_that_are_no_safetensors(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a delta file"):
        delta.load(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for place in (tmp_path / "gone.safetensors", tmp_path):
        with pytest.raises(WeightsError):
            delta.load(place)
