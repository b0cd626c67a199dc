"""AnimateLCM-SVD-xt in small: the recordings' SVD, its U-Net's values shaken. The released file is
not at hand; what is known of it is its size, to the byte.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vtg_cli.backbones import base
from vtg_cli.backbones.animatelcm import assemble as animatelcm
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.ground.hooks import overriding
from vtg_cli.job.sampling import Sampling
from vtg_cli.lowmem.ladder import Ladder
from vtg_cli.machine.device import seeded_noise
from vtg_cli.machine.rungs import RUNGS
from vtg_cli.methods import papers
from vtg_cli.methods.registry import methods
from vtg_cli.sampling.settings import resolved
from vtg_cli.weights import keep, layout, store

BASE = Path(__file__).parents[2] / "data" / "parity" / "tiny_svd"
UNET = BASE / "unet" / "diffusion_pytorch_model.safetensors"
PUBLISHED = 6_098_682_464
"""Bytes of AnimateLCM-SVD-xt.safetensors, from the pointer in its author's repository (G-U-N/
AnimateLCM, animatelcm_svd/safetensors)."""


def checkpoint(folder: Path, **changed: Tensor | None) -> Path:
    """A released file; changed: tensors put in, or left out."""
    tensors = {name: value * 1.01 for name, value in load_file(UNET).items()}
    tensors |= {name: value for name, value in changed.items() if value is not None}
    for name in (name for name, value in changed.items() if value is None):
        del tensors[name]
    save_file(tensors, folder / "AnimateLCM-SVD-xt.safetensors", {"format": "pt"})
    return folder / "AnimateLCM-SVD-xt.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("animatelcm")
    return animatelcm.assemble(checkpoint(place), BASE, place / "model")


@pytest.fixture(scope="module")
def m(folder: Path) -> base.Backbone:
    return base.load(folder, device="cpu", dtype="fp32")


@pytest.fixture
def keys() -> Keyframes:
    first, last = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return Keyframes.ends(first, last, 6)


def test_the_released_file_has_the_size_of_exactly_svd_xt_s_u_net() -> None:
    """Of its 1428 names and shapes in single precision, laid out as safetensors lays them out: a
    name or a number more or less would show.
    """
    from diffusers import UNetSpatioTemporalConditionModel

    with torch.device("meta"):
        network: Any = UNetSpatioTemporalConditionModel()  # the defaults are SVD's
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, value in sorted(network.state_dict().items()):
        begin, end = end, end + 4 * value.numel()
        header[name] = {"dtype": "F32", "shape": [*value.shape], "data_offsets": [begin, end]}
    length = 8 * math.ceil(len(json.dumps(header, separators=(",", ":"))) / 8)
    assert len(header) - 1 == 1428 and 8 + length + end == PUBLISHED


def test_its_folder_is_svd_xt_s_with_the_file_in_place_of_the_u_net(
    folder: Path, m: Any, tmp_path: Path
) -> None:
    assert layout.lacking(layout.names_in(folder)) == ()
    ours, theirs = m.network.state_dict(), load_file(UNET)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name] * 1.01) for name, value in ours.items())
    for part in ("vae", "image_encoder"):
        (one,), (other,) = ((f / part).glob("*.safetensors") for f in (folder, BASE))
        assert one.samefile(other)  # not a byte was copied
    assert keep.verify(str(folder)).bad == ()
    assert store.identity(folder).keys() == {
        *("model_index.json", "scheduler/scheduler_config.json"),
        *("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
        *("vae/config.json", "vae/diffusion_pytorch_model.safetensors"),
        *("image_encoder/config.json", "image_encoder/model.safetensors"),
    }


def test_its_facts_are_svd_xt_s_but_for_how_it_is_sampled(folder: Path) -> None:
    ours, theirs = base.spec_of(folder), base.spec_of(BASE)
    same = replace(ours, name=theirs.name, schedules=theirs.schedules, defaults=theirs.defaults)
    assert same == theirs
    assert ours.schedules[0] == "lcm" and set(ours.schedules) == set(theirs.schedules)
    for method, steps, calls in (("i2v", 4, 8), ("trf", 8, 8 * 4 + 4 * 4), ("gi", 8, 28 * 4)):
        s = resolved(Sampling(method=method), has_reverse=True, defaults_of=ours.defaults)
        assert (s.steps, s.solver, s.guidance) == (steps, "lcm", (1.0, 1.2))
        assert ours.evaluations(s) == calls
    s = resolved(Sampling(method="i2v", init="slerp"), has_reverse=False, defaults_of=ours.defaults)
    assert s.solver == "euler"  # fresh noise would undo the inverted one


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        (1, (0,)),
        (4, (0, 10, 20, 30)),
        (6, (0, 6, 12, 18, 24, 30)),
        (8, (0, 5, 10, 15, 20, 25, 30, 35)),
    ],
)
def test_its_levels_are_every_so_many_of_forty(
    m: base.Backbone, steps: int, places: Sequence[int]
) -> None:
    high, low = 700 ** (1 / 7), 0.002 ** (1 / 7)
    levels = [(high + k / 39 * (low - high)) ** 7 for k in places]
    assert [level.sigma for level in m.path(steps)] == pytest.approx([*levels, 0.0], rel=1e-12)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"conv_out.bias": None}, "it lacks conv_out.bias"),
        ({"conv_odd.bias": torch.zeros(1)}, "conv_odd.bias does not belong to it"),
        ({"conv_out.bias": torch.zeros(5)}, "conv_out.bias is [5] in it, not [4]"),
        (
            {"conv_out.bias": None, "conv_norm_out.bias": None},
            "it lacks conv_norm_out.bias",  # the first of them
        ),
    ],
)
def test_another_u_net_is_refused_by_its_header(
    changed: dict[str, Tensor | None], said: str, tmp_path: Path
) -> None:
    file = checkpoint(tmp_path, **changed)
    with pytest.raises(WeightsError) as caught:
        animatelcm.assemble(file, BASE, tmp_path / "model")
    config = BASE / "unet" / "config.json"
    assert caught.value.message == f"{file} is not the network that {config} describes: {said}"
    assert [*tmp_path.iterdir()] == [file]


def test_a_folder_whose_u_net_was_changed_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    out = animatelcm.assemble(checkpoint(tmp_path), BASE, tmp_path / "model")
    (out / animatelcm.WEIGHTS).unlink()
    checkpoint(tmp_path, **{"conv_in.bias": None}).rename(out / animatelcm.WEIGHTS)
    with pytest.raises(WeightsError, match=r"describes: it lacks conv_in.bias$"):
        base.load(out, device="cpu", dtype="fp32")


def test_what_cannot_be_joined(tmp_path: Path) -> None:
    file, out = checkpoint(tmp_path), tmp_path / "model"
    with pytest.raises(WeightsError) as caught:
        animatelcm.assemble(file, tmp_path, out)
    assert "is no folder of svd-xt: it lacks model_index.json" in caught.value.message
    assert caught.value.hint == "vtg models pull svd-xt"
    out.mkdir()
    with pytest.raises(UsageError, match=r"model exists$"):
        animatelcm.assemble(file, BASE, out)
    with pytest.raises(UsageError, match=r"exists and is no model folder"):
        animatelcm.assemble(file, BASE, out, overwrite=True)
    assert animatelcm.is_one(file) and not animatelcm.is_one(BASE / "vae" / "config.json")


def test_one_picture_is_sampled_as_its_author_does(m: base.Backbone, keys: Keyframes) -> None:
    """clean <- network(x); x <- clean + next sigma * fresh noise. Noise is drawn for the picture,
    for the start and for every step, in this order.
    """
    s = Sampling(method="i2v", guidance=(1.0, 1.0), seed=3)
    s = resolved(s, has_reverse=False, defaults_of=m.spec.defaults)
    noise = seeded_noise(3)
    with torch.inference_mode():
        cond = m.condition(keys.only(0), noise=noise(keys.pixels[:1]))
        path = m.path(4)
        x = noise(torch.empty(1, 6, 4, 4, 6)) * (700.0**2 + 1) ** 0.5
        for level, after in pairwise(path):
            x = m(x, level, cond) + after.sigma * noise(x)
        z = methods()["i2v"].draw(m, keys, s, seeded_noise(3), None)
    assert torch.equal(z, x)


@pytest.mark.parametrize("method", ["trf", "gi"])
def test_both_directions_share_one_draw_a_step(
    m: base.Backbone, keys: Keyframes, method: str
) -> None:
    """The fused latents get it: the reversed half sees what the forward half sees, turned."""
    s = Sampling(method=method, steps=4, renoise=1, renoise_until=0.5)
    s = resolved(s, has_reverse=True, defaults_of=m.spec.defaults)
    drawn: list[tuple[int, ...]] = []
    source = seeded_noise(0)

    def noise(x: Tensor) -> Tensor:
        drawn.append(tuple(x.shape))
        return source(x)

    def watched(_: Any, forward: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        halves = x[:, :, :4].chunk(2)  # beside the latents stand the picture's own
        assert torch.equal(halves[1], halves[0].flip(1))
        return forward(x, *args, **kwargs)

    with overriding([m.network], watched), torch.inference_mode():
        methods()[method].draw(m, keys, s, noise, None)
    moves = 4 + 2 * 2  # two of the steps go back up and down once more
    assert drawn == [(1, 3, 16, 24)] + [(1, 6, 4, 4, 6)] * (1 + moves)


@contextmanager
def running_out(m: Any, call: int) -> Iterator[None]:
    calls = 0

    def counted(_: Any, forward: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise torch.OutOfMemoryError("injected")
        return forward(*args, **kwargs)

    with overriding([m.network], counted):
        yield


@pytest.mark.parametrize("call", [1, 3, 5])
def test_a_step_made_again_after_running_out_has_the_same_noise(
    folder: Path, keys: Keyframes, call: int
) -> None:
    """On the ladder, from "full" to "chunked", where a step is made of the same calls."""
    asked = Sampling(method="trf", steps=4, renoise=1, renoise_until=0.25, guidance=(1.0, 1.0))
    frames = []
    for number in (0, call):
        m: Any = base.load(folder, device="cpu", dtype="fp32")
        ladder: Any = Ladder(m, RUNGS[:2], torch.device("cpu"), decode_chunk=8)
        with running_out(m, number):
            frames.append(papers.render(ladder, keys, asked).astype(int))
        assert ladder.tried == (("full", "chunked") if number else ("full",))
    assert np.array_equal(*frames)
