"""One training step of Generative Inbetweening against the reference's, number for number.

Tolerances are those the recordings' README states, but for the parameters after the step: there the
median of all differences tells weight decay of the full weights (2e-9) from decay of the difference
alone (1e-7), which the largest one does not.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recordings import model_folder, read, tensors, training_cases
from safetensors.torch import load_file
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.backbones.svd.model import SVD
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.training.example import Draws, Example, example
from vtg_cli.training.levels import EDGE, level_at
from vtg_cli.training.reverse import ReverseMotion

pytestmark = pytest.mark.parity

CASES = [pytest.param(read(file), id=file.stem) for file in training_cases()]


def weights(name: str) -> dict[str, Tensor]:
    return load_file(model_folder(name) / "unet" / "diffusion_pytorch_model.safetensors")


class Step:
    """A recorded step done by the package: its examples, its loss and the trained weights."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record, self.tape = record, tensors(record["name"])
        m = base.load(model_folder(record["model_dir"]), device="cpu", dtype="fp32")
        reference = {name: value.float() for name, value in weights(record["ref_unet_dir"]).items()}
        m.network.load_state_dict(reference)
        self.m = m
        begun = {name: value.float() for name, value in weights(record["unet_dir"]).items()}
        self.trained = ReverseMotion(m, begun)
        self.examples = [self.example(b) for b in range(record["batch"])]

    def example(self, b: int) -> Example:
        """Return clip b; the recording runs backwards in time, ours runs forward."""
        tape, frames = self.tape, self.record["num_frames"]
        assert isinstance(self.m, SVD)
        posterior = torch.unflatten(tape["noise.vae_sample"], 0, (-1, frames))[b : b + 1]
        draws = Draws(
            augmentation=tape["noise.aug"][b : b + 1],
            posterior=posterior.flip(1),
            noise=tape["noise.latent_final"][b : b + 1].flip(1),
            level=float(tape["noise.sigma_uniform"][b]),
        )
        clip = tape["in.frames_forward_time"][b]
        return example(self.m, torch.stack([to_pixels(f.numpy()) for f in clip]), draws)

    def run(self) -> float:
        with self.trained.applied():
            losses = [self.trained.loss(each) / len(self.examples) for each in self.examples]
            total = sum(losses)
            assert isinstance(total, Tensor)
            total.backward()  # type: ignore[no-untyped-call]
        return float(total.detach())


@pytest.fixture(params=CASES)
def step(request: pytest.FixtureRequest) -> Step:
    return Step(request.param)


def test_what_the_network_is_told(step: Step) -> None:
    for b, given in enumerate(step.examples):
        tape = step.tape
        assert float((given.x0.flip(1) - tape["mid.latents"][b : b + 1]).abs().max()) < 1e-5
        backward, ahead = given.pair.map(lambda v: v[1:]), given.pair.map(lambda v: v[:1])
        assert backward.image is not None and ahead.image is not None
        assert backward.motion is not None and backward.concat is not None
        tokens = tape["mid.encoder_hidden_states"][b : b + 1]
        assert float((backward.image[:, 0] - tokens).abs().max()) < 1e-5
        tokens = tape["mid.encoder_hidden_states_ref"][b : b + 1]
        assert float((ahead.image[:, 0] - tokens).abs().max()) < 1e-5
        assert torch.equal(backward.motion, tape["mid.added_time_ids"][b : b + 1])
        latent = tape["mid.conditions_latent"][b : b + 1]
        assert float((backward.concat[:, 0] - latent).abs().max()) < 1e-5
        assert given.level.sigma == pytest.approx(step.record["sigmas"][b], rel=1e-5)


def test_loss_and_gradients(step: Step) -> None:
    record, tape = step.record, step.tape
    assert step.run() == pytest.approx(record["loss"], rel=1e-5)
    grads = dict(zip(step.trained.places, step.trained.values, strict=True))
    assert set(grads) == set(record["grad_norms"])
    for name, parameter in grads.items():
        grad, wanted = parameter.grad, tape[f"grad.{name}"]
        assert grad is not None
        assert float((grad - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())
        assert float(grad.norm()) == pytest.approx(record["grad_norms"][name], rel=1e-4)
    total = nn.utils.get_total_norm([p.grad for p in grads.values() if p.grad is not None])
    assert float(total) == pytest.approx(record["total_grad_norm"], rel=1e-4)


def test_parameters_after_the_step(step: Step) -> None:
    step.run()
    told = step.record["optimizer"]
    optimizer = torch.optim.AdamW(
        step.trained.parameters(),
        told["lr"],
        betas=tuple(told["betas"]),
        eps=told["eps"],
        weight_decay=told["weight_decay"],
    )
    nn.utils.clip_grad_norm_(step.trained.parameters(), told["clip_total_norm"])
    optimizer.step()
    after = dict(zip(step.trained.places, step.trained.values, strict=True))
    differences = [
        (after[name.removeprefix("after_adamw.")].detach() - wanted).abs().flatten()
        for name, wanted in step.tape.items()
        if name.startswith("after_adamw.")
    ]
    assert float(torch.cat(differences).median()) < 1e-8
    assert float(torch.cat(differences).max()) < 2e-5
    kept = step.trained.by_name()
    for name, value in after.items():
        assert torch.equal(kept[name], value.detach() - step.m.network.get_parameter(name))


def test_levels_are_the_reference_s_law() -> None:
    record = next(read(file) for file in training_cases())
    m = base.load(model_folder(record["model_dir"]), device="cpu", dtype="fp32")
    assert level_at(m, 0.5).sigma == pytest.approx(torch.tensor(0.7).exp().item(), rel=1e-6)
    z = torch.special.ndtri(torch.tensor(0.9 * (1 - 2 * EDGE) + EDGE, dtype=torch.float64))
    assert level_at(m, 0.9).sigma == pytest.approx(float((0.7 + 1.6 * z).exp()), rel=1e-9)
