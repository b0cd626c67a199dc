"""Alignment against recordings of REPA's and VideoREPA's losses, and on real networks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from trainings import run, same, settings, stopping, tiny

from vtg_cli.backbones import base
from vtg_cli.cli import main
from vtg_cli.errors import Interrupted, UsageError, WeightsError
from vtg_cli.ground.hooks import recording
from vtg_cli.training import encoder
from vtg_cli.training.align import (
    Aligned,
    cosine_loss,
    doubled,
    paired,
    projector,
    relational_loss,
    tokens,
)
from vtg_cli.training.example import drawn, example
from vtg_cli.training.reverse import ReverseMotion
from vtg_cli.training.settings import Alignment

OURS = Path(__file__).parents[1] / "data" / "vectors"
FOLDER = Path(os.environ.get("VTG_VECTORS_DIR", OURS)).expanduser()
CASES = sorted(FOLDER.glob("align_*.json"))
SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"


@pytest.fixture(params=[pytest.param(file, id=file.stem) for file in CASES])
def case(request: pytest.FixtureRequest) -> tuple[dict[str, Any], dict[str, Tensor]]:
    return json.loads(request.param.read_text()), load_file(
        request.param.with_suffix(".safetensors")
    )


Case = tuple[dict[str, Any], dict[str, Tensor]]


def test_cosine_is_repa_s_and_its_sum_is_vtg_s(case: Case) -> None:
    told, tape = case[0]["cosine"], case[1]
    pred, target = tape["align.pred"].double(), tape["align.target"].double()
    assert float(cosine_loss(pred, target)) == pytest.approx(
        told["loss_mean_over_frames"], abs=1e-6
    )
    summed = next(value for name, value in told.items() if "sum" in name)
    assert float(cosine_loss(pred, target, "sum")) == pytest.approx(summed, abs=1e-6)
    for frame, wanted in enumerate(told["per_frame_mean"]):
        one = cosine_loss(pred[:, frame : frame + 1], target[:, frame : frame + 1])
        assert float(one) == pytest.approx(-wanted, abs=1e-6)


def test_relational_is_trd_with_its_gradient(case: Case) -> None:
    told, tape = case
    pred = tape["trd.pred"].double().requires_grad_()
    target = tape["trd.target"].double()
    loss = relational_loss(pred, target, told["margin"])
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(told["trd"]["full"], abs=1e-12)
    assert pred.grad is not None
    assert float((pred.grad - tape["trd.grad_pred"]).abs().max()) < 1e-12
    assert float(relational_loss(pred, target, 0.0).detach()) == pytest.approx(
        told["trd"]["full_margin_0"], abs=1e-12
    )


def test_twice_the_frames_is_the_recorded_interpolation(case: Case) -> None:
    before, after = case[1]["trd.upsample_in"], case[1]["trd.upsample_out"]
    clip = before[0].flatten(2).permute(1, 2, 0)  # [F, N, D]
    wanted = after[0].flatten(2).permute(1, 2, 0)
    assert float((doubled(clip) - wanted).abs().max()) < 1e-6


def dinov2(folder: Path, **others: Any) -> Path:
    """The real class, tiny and random."""
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28}
    Dinov2Model(
        Dinov2Config(**(shape | {"mlp_ratio": 2, "patch_size": 7} | others))
    ).save_pretrained(folder)
    return folder


def test_a_feature_for_each_place_and_from_there(tmp_path: Path) -> None:
    eyes = encoder.load(dinov2(tmp_path), torch.device("cpu"))
    pixels = torch.rand(3, 3, 40, 60, generator=torch.Generator().manual_seed(1)) * 2 - 1
    features = eyes.features(pixels, (4, 6))
    assert features.shape == (3, 24, 24) and eyes.width == 24
    assert float((eyes.features(pixels[1:2], (4, 6)) - features[1]).abs().max()) < 1e-5
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        encoder.load(tmp_path / "nothing", torch.device("cpu"))
    with pytest.raises(WeightsError, match=r"of type .* not dinov2"):
        encoder.load(SVD / "image_encoder", torch.device("cpu"))


def test_the_projector_follows_from_its_seed() -> None:
    one, again, other = (projector(8, 16, 4, seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    assert not torch.equal(one[0].weight, other[0].weight)  # type: ignore[arg-type]
    assert [tuple(p.shape) for p in one.parameters()] == [
        (16, 8),
        (16,),
        (16, 16),
        (16,),
        (4, 16),
        (4,),
    ]


def test_tokens_of_the_reversed_half_on_their_grid() -> None:
    flat = torch.arange(2 * 3 * 6).view(6, 6, 1).float()  # [(2 F), N, 1]
    states, grid = tokens(flat, 3, (8, 12))
    assert grid == (2, 3) and torch.equal(states, flat[3:])
    laid = flat.view(2, 3, 2, 3, 1)
    states, grid = tokens(laid, 3, (99, 1))
    assert grid == (2, 3) and torch.equal(states, flat[3:])
    with pytest.raises(ValueError, match="lie on no grid"):
        tokens(torch.zeros(2, 7, 1), 1, (8, 12))


def test_many_tokens_are_averaged_before_they_are_paired() -> None:
    clip = torch.rand(4, 64 * 64, 2)
    few = paired(clip, (64, 64), 8)
    assert few.shape == (4, 22 * 22, 2)
    assert float((few.mean(1) - clip.mean(1)).abs().max()) < 0.02
    assert paired(clip[:, :64], (8, 8), 8) is not None
    assert torch.equal(paired(clip[:, :64], (8, 8), 8), clip[:, :64])


@pytest.mark.parametrize("variant", ["cosine", "relational"])
def test_gradients_reach_the_network_through_its_hidden_states(
    variant: Any, tmp_path: Path
) -> None:
    m = base.load(SVD, device="cpu", dtype="fp32")
    eyes = encoder.load(dinov2(tmp_path), torch.device("cpu"))
    trained = ReverseMotion(m)
    told = Alignment(encoder=str(tmp_path), weight=0.5, variant=variant, hidden=32)
    aligned = Aligned(m, trained, told, eyes, 0)
    pixels = torch.rand(4, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    given = example(m, pixels, drawn(m, 4, (32, 48), torch.Generator().manual_seed(1)).at(0.4))
    with trained.applied():
        alone = trained.loss(given)
        both = aligned.loss(given, pixels)
    (both - alone).backward()  # type: ignore[no-untyped-call]
    grads = [value.grad for value in trained.values]
    assert any(g is not None and bool(g.any()) for g in grads)
    assert all(p.grad is not None and bool(p.grad.any()) for p in aligned.projector.parameters())
    if variant == "cosine":
        assert abs(float((both - alone).detach())) <= 0.5
    with pytest.raises(UsageError, match="--layer 99"):
        Aligned(m, trained, Alignment(encoder="", layer=99), eyes, 0)


def test_states_of_the_reversed_half_are_led_to_the_frames_they_show(tmp_path: Path) -> None:
    """The reversed half runs backwards: its last state belongs to the first frame."""
    m = base.load(SVD, device="cpu", dtype="fp32")
    told = Alignment(encoder="", weight=1.0, hidden=8)

    class Brightness:
        width = 1
        seen: Tensor

        def features(self, pixels: Tensor, grid: tuple[int, int]) -> Tensor:
            self.seen = pixels.mean((1, 2, 3))
            return self.seen[:, None, None].expand(-1, grid[0] * grid[1], 1)

    eyes = Brightness()
    aligned = Aligned(m, ReverseMotion(m), told, eyes, 0)  # type: ignore[arg-type]
    shown: list[Tensor] = []
    aligned.projector.register_forward_hook(lambda _m, given, _o: shown.append(given[0]))
    pixels = torch.rand(4, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    given = example(m, pixels, drawn(m, 4, (32, 48), torch.Generator().manual_seed(1)))
    with recording([aligned._block]) as outputs, torch.no_grad(), aligned.trained.applied():
        aligned.loss(given, pixels)
    states, _ = tokens(outputs[-1], 4, (8, 12))
    assert torch.equal(shown[0], states.flip(0))
    assert torch.equal(eyes.seen, pixels.mean((1, 2, 3)))


def test_align_end_to_end_and_on_from_a_stop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny(tmp_path / "model")
    alignment = Alignment(encoder=str(dinov2(tmp_path / "dino")), hidden=16)
    whole, parts = (
        settings(tmp_path, kind="align", out=str(tmp_path / name), tries=0, alignment=alignment)
        for name in ("whole", "parts")
    )
    run(whole)
    with pytest.raises(Interrupted):
        run(parts, stopping(2))
    run(parts)
    assert all(same(tmp_path / "whole", tmp_path / "parts"))
    names = set(load_file(tmp_path / "whole" / "reverse.safetensors"))
    assert all(".temporal.to_" in name for name in names)
    command = ["train", "align", "procedural:2", "--model", str(tmp_path / "model"), "--steps", "1"]
    command += ["--batch", "1", "--frames", "4", "--size", "32x32", "--held-out", "0", "--json"]
    command += ["--device", "cpu", "--variant", "relational", "-o", str(tmp_path / "cli")]
    assert main([*command, "--encoder", str(tmp_path / "dino")]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["delta"]["settings"]["alignment"]["variant"] == "relational"
    assert main([*command, "--encoder", str(tmp_path / "nowhere")]) in (2, 5)
