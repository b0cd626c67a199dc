"""Nothing that is no number is drawn."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.backbones.animatelcm import assemble as animatelcm
from vtg_cli.backbones.dynamicrafter.weights import config_of
from vtg_cli.backbones.finite import check_weights
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import QualityError, WeightsError
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import is_finite
from vtg_cli.job.methods import METHODS
from vtg_cli.machine.device import seeded_noise
from vtg_cli.methods import papers
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.loop import sample
from vtg_cli.sampling.path import edm_path
from vtg_cli.sampling.settings import Sampling
from vtg_cli.weights.catalog import EMBEDDED
from vtg_cli.weights.store import resolve

HERE = Path(__file__).parent
SVD = HERE / "data" / "parity" / "tiny_svd"
sys.path.insert(0, str(HERE / "backbones" / "dynamicrafter"))
import tiny_models  # type: ignore[import-not-found]  # noqa: E402

UNET = "unet/diffusion_pytorch_model.safetensors"
BAD = [float("nan"), float("inf"), float("-inf")]


def spoiled(file: Path, value: float, which: int = 0) -> str:
    """Put a value into one of a file's tensors; return that one's name."""
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    tensors = load_file(file)
    name = [n for n in sorted(tensors) if tensors[n].is_floating_point()][which]
    tensors[name].view(-1)[-1] = value
    save_file(tensors, file, about)
    return name


def svd(folder: Path) -> Path:
    return Path(shutil.copytree(SVD, folder))


def lcm(folder: Path) -> Path:
    checkpoint = folder.with_suffix(".safetensors")
    shutil.copy(SVD / UNET, checkpoint)
    spoiled(checkpoint, float("nan"))  # the header is all that is read of it when it is joined
    return animatelcm.assemble(checkpoint, SVD, folder)


def sound_lcm(folder: Path) -> Path:
    return animatelcm.assemble(SVD / UNET, SVD, folder)


def tiny(folder: Path) -> Path:
    return Path(shutil.copytree(resolve(EMBEDDED).folder, folder))


def dynamicrafter(folder: Path) -> Path:
    folder.mkdir()
    for part, network in tiny_models.networks().items():
        save_file(network.state_dict(), folder / f"{part}.safetensors")
    config = config_of(tiny_models.FACTS, tiny_models.SIZES)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "DynamiCrafter"}))
    return folder


FILES: list[tuple[Callable[[Path], Path], str]] = [
    (tiny, "network.safetensors"),
    (svd, UNET),
    (svd, "vae/diffusion_pytorch_model.safetensors"),
    (svd, "image_encoder/model.safetensors"),
    (lcm, UNET),
    *((dynamicrafter, f"{part}.safetensors") for part in tiny_models.SIZES.networks()),
]


@pytest.mark.parametrize(("make", "file"), FILES)
def test_weights_that_are_no_numbers_are_refused_by_file_and_tensor(
    make: Callable[[Path], Path], file: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "model")
    name = spoiled(folder / file, BAD[len(file) % 3])
    with pytest.raises(WeightsError) as caught:
        base.load(folder, device="cpu", dtype="fp32")
    assert caught.value.exit_code == 5
    assert caught.value.message == (
        f"{folder / file} is damaged: {name} holds values that are not numbers"
    )


def test_what_overflows_in_half_precision_alone_is_said_so(tmp_path: Path) -> None:
    folder = svd(tmp_path / "model")
    wide = {name: tensor.float() for name, tensor in load_file(folder / UNET).items()}
    save_file(wide, folder / UNET, {"format": "pt"})
    name = spoiled(folder / UNET, 1e5)  # the largest half is 65504
    base.load(folder, device="cpu", dtype="fp32")
    with pytest.raises(WeightsError) as caught:
        base.load(folder, device="cpu", dtype="fp16")
    assert caught.value.message == f"{name} of {folder / UNET} has values too large for float16"
    assert caught.value.hint == "--dtype fp32"


def test_so_is_a_delta_that_overflows(tmp_path: Path) -> None:
    net = base.load(SVD, device="cpu", dtype="fp32").network
    name = next(
        n for n, _ in net.named_parameters() if n.endswith("attn1.to_v.weight") and "temp" in n
    )
    delta = {name: torch.full_like(net.get_parameter(name), 1e5)}
    assert base.load(SVD, device="cpu", dtype="fp32", reverse=delta).reverse
    with pytest.raises(WeightsError, match=f"{name} holds values that are not numbers in float16"):
        base.load(SVD, device="cpu", dtype="fp16", reverse=delta)


def test_stored_buffers_are_looked_at_and_whole_numbers_are_not(tmp_path: Path) -> None:
    net = nn.BatchNorm1d(3)  # two buffers of numbers, one that counts
    file = tmp_path / "network.safetensors"
    save_file(net.state_dict(), file)
    check_weights(tmp_path, {"network": net})
    net.running_var[1] = torch.nan  # type: ignore[index]
    save_file(net.state_dict(), file)
    with pytest.raises(WeightsError) as caught:
        check_weights(tmp_path, {"network": net})
    assert caught.value.message == (
        f"{file} is damaged: running_var holds values that are not numbers"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_one_number_that_is_none_is_enough_wherever_it_lies(dtype: torch.dtype) -> None:
    for size in (1, 7, 64, 1000):
        x = torch.linspace(-1, 1, size, dtype=torch.float64).to(dtype)
        assert is_finite(x) and is_finite(x[:0])
        for bad in BAD:
            for at in range(0, size, max(1, size // 61)):
                one = x.clone()
                one[at] = bad
                assert not is_finite(one) and not is_finite(one.expand(2, size).T)


@pytest.mark.parametrize("bad", BAD)
def test_the_step_that_gave_no_numbers_is_named(bad: float) -> None:
    path = edm_path([3.0, 2.0, 1.0, 0.0])

    def predict(x: Tensor, level: Level) -> Tensor:
        return torch.full_like(x, bad) if level.sigma <= 2 else torch.zeros_like(x)

    with pytest.raises(QualityError) as caught:
        sample(predict, torch.ones(1, 2, 1, 2, 2), path, noise=seeded_noise(0))
    assert caught.value.exit_code == 6
    assert caught.value.message == f"step 2 of {len(path) - 1} gave latents that are not numbers"


STEPS, FRAMES = 3, 4


@pytest.fixture(scope="module")
def m() -> Any:
    return base.load(resolve(EMBEDDED).folder, device="cpu")


def keys() -> Keyframes:
    first, last = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return Keyframes.ends(first, last, FRAMES)


def spoiling(t: float) -> Callable[..., Tensor]:
    """An override of the network: at the level of this number one of its values is no number."""

    def network(_: nn.Module, forward: Callable[..., Tensor], x: Tensor, at: float) -> Tensor:
        out = forward(x, at)
        if at == t:
            out[0, -1, 0, 0, 0] = torch.nan
        return out

    return network


def refusal(m: Any, t: float, **asked: Any) -> str:
    with overriding([m.network], spoiling(t)), pytest.raises(QualityError) as caught:
        papers.render(m, keys(), Sampling(steps=STEPS, renoise=0, seed=1, **asked))
    return caught.value.message


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ends_at_the_step(method: Any, m: Any) -> None:
    step = 1 if method == "di" else 2  # di inverts first, where all levels but the first are met
    said = refusal(m, m.path(STEPS)[step - 1].t, method=method)
    assert said == f"step {step} of {STEPS} gave latents that are not numbers"


def test_so_does_an_inversion(m: Any) -> None:
    # it begins on the last level with noise in it, the second move asks at the one before
    path = [level for level in m.path(STEPS) if level.sigma > 0]
    said = refusal(m, path[-2].t, method="trf", init="slerp")
    assert said == f"inversion step 2 of {len(path) - 1} gave latents that are not numbers"


MODELS: dict[Callable[[Path], Path], str] = {
    tiny: "",
    svd: "vae",
    sound_lcm: "vae",
    dynamicrafter: "autoencoder",
}
"""And which of its parts decodes; the embedded one's is a function."""


@pytest.fixture(scope="module", params=MODELS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of each kind, and the network that decodes, if any."""
    folder = request.param(tmp_path_factory.mktemp("models") / "model")
    each: Any = base.load(folder, device="cpu", dtype="fp32")
    part = MODELS[request.param]
    return each, each.parts()[part].decoder if part else None


def ends_of(each: Any) -> Keyframes:
    size = (tiny_models.HEIGHT, tiny_models.WIDTH)
    first, last = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return Keyframes.ends(first, last, each.spec.drawn(4))


def test_every_model_ends_at_the_step(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one value of its answer is no number, from the second level on that it is asked at."""
    (each, _), seen = made, list[float]()
    whole = type(each).__call__

    def answer(self: Any, x: Tensor, level: Level, cond: Any) -> Tensor:
        out: Tensor = whole(self, x, level, cond).clone()
        seen.append(level.t)
        if level.t != seen[0]:
            out.view(-1)[7] = torch.nan
        return out

    monkeypatch.setattr(type(each), "__call__", answer)
    with pytest.raises(QualityError) as caught:
        papers.render(each, ends_of(each), Sampling(steps=STEPS, renoise=0, seed=1))
    assert caught.value.exit_code == 6
    assert caught.value.message == f"step 2 of {STEPS} gave latents that are not numbers"


@pytest.mark.parametrize("made", [svd, sound_lcm, dynamicrafter], indirect=True)
def test_no_models_pictures_are_cast(made: Any) -> None:
    each, decoder = made

    def spoilt(_: nn.Module, forward: Callable[..., Tensor], *given: Any, **more: Any) -> Tensor:
        out = forward(*given, **more).clone()
        out[-1, 0, 3, 5] = -torch.inf
        return out

    with overriding([decoder], spoilt), pytest.raises(QualityError) as caught:
        papers.render(each, ends_of(each), Sampling(steps=1, renoise=0))
    assert caught.value.message == "the decoded pictures are not numbers"


def test_pictures_that_are_no_numbers_are_not_cast(m: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vtg_cli.backbones.tiny import model

    whole = model.anchored

    def anchored(*given: Tensor) -> Tensor:
        out = whole(*given)
        out[0, 0, 3, 5] = torch.inf
        return out

    monkeypatch.setattr(model, "anchored", anchored)
    with pytest.raises(QualityError) as caught:
        papers.render(m, keys(), Sampling(steps=1))
    assert caught.value.exit_code == 6
    assert caught.value.message == "the decoded pictures are not numbers"
