"""Our one network against the reference's two, number for number, on recorded tensors.

Tolerances are those the recordings' README states: it saw 7.6e-6 / 1.5e-5 / 1.5e-6 between
independent float32 implementations of a prediction / final latents / frames, and at least 2e-3 from
the mildest wrong one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from recordings import FOLDER, model_folder, read, sampling_cases, tensors
from safetensors.torch import load_file
from torch import Tensor, nn

from vtg_cli.backbones import base
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.job.sampling import Sampling
from vtg_cli.media.image import fit
from vtg_cli.methods import svd, walk
from vtg_cli.sampling import solvers
from vtg_cli.sampling.fusion import Delta, rotate_pairs
from vtg_cli.weights import delta as deltas

pytestmark = pytest.mark.parity

CASES = [pytest.param(read(file), id=file.stem) for file in sampling_cases("gi")]
PREDICTION, LATENTS, FRAMES, ATTENTION = 1e-4, 2e-4, 2e-5, 1e-5


def off(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float((a.double() - b.double()).abs().max())


class Replay:
    """A noise source that hands out the recorded draws in order."""

    def __init__(self, draws: list[Tensor]) -> None:
        self.draws = iter(draws)

    def __call__(self, x: Tensor) -> Tensor:
        draw = next(self.draws)
        assert draw.shape == x.shape
        return draw


class Run:
    """One sampling case done by the package, with what the recordings let us compare."""

    def __init__(
        self, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, term_by_term: bool
    ) -> None:
        p, self.tape = record["params"], tensors(record["case"])
        self.record, tape = record, self.tape
        reverse = deltas.from_pair(
            model_folder(record["reverse_dir"]), model_folder(record["base_dir"])
        )
        m = base.load(
            model_folder(record["model_dir"]),
            device="cpu",
            dtype="fp32",
            reverse=reverse,
            decode_chunk=p["decode_chunk_size"] or p["num_frames"],
        )
        self.m, m.spec = m, replace(m.spec, frames=p["num_frames"])
        pictures = [tape["in.image1"].numpy(), tape["in.image2"].numpy()]
        fitted = [to_pixels(fit(i, p["height"], p["width"], "stretch")) for i in pictures]
        keys = Keyframes.ends(fitted[0], fitted[1], p["num_frames"])
        settings = Sampling(
            method="gi",
            steps=p["num_inference_steps"],
            guidance=(p["min_guidance_scale"], p["max_guidance_scale"]),
            fusion="linear" if p["weighted_average"] else "mean",
            renoise=p["noise_injection_steps"],
            renoise_until=p["noise_injection_ratio"],
            motion_bucket=p["motion_bucket_id"],
            noise_aug=p["noise_aug_strength"],
            strength=1.0,
            temperature=1.0,
        )
        motion = base.Motion(
            fps=p["fps"], bucket=p["motion_bucket_id"], noise_aug=p["noise_aug_strength"]
        )
        monkeypatch.setattr(walk, "motion", lambda s: motion)  # fps is not a setting of ours
        monkeypatch.setattr(walk, "term_by_term", lambda m: term_by_term)
        self._let_clip_see_originals(pictures, fitted, monkeypatch)
        self.conds: list[Cond] = []
        self.latents: list[Tensor] = []
        self.first: Tensor | None = None
        monkeypatch.setitem(solvers.SOLVERS, "euler", self._euler)
        injected = [tape[k] for k in sorted(tape) if k.startswith("noise.inject_")]
        noise = Replay([tape["noise.aug"], tape["noise.init_latents"], *injected])
        with torch.inference_mode():
            self.z = svd.gi(m, keys, settings, noise)
            self.pixels = m.decode(self.z)[0]
        assert next(noise.draws, None) is None, "not every recorded draw was used"

    def _euler(self, predict: Any, x: Tensor, a: Any, b: Any, history: Any, noise: Any) -> Tensor:
        if self.first is None:
            self.first = a.v_from_x0(x, predict(x, a))
        x = solvers.euler(predict, x, a, b, history, noise)
        self.latents.append(x)
        return x

    def _let_clip_see_originals(
        self, pictures: list[Any], fitted: list[Tensor], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The reference resizes for the autoencoder only; we condition on fitted keyframes
        throughout.
        """
        original = self.m.image_tokens  # type: ignore[attr-defined]

        def tokens(pixels: Tensor) -> Tensor:
            for picture, seen in zip(pictures, fitted, strict=True):
                if torch.equal(pixels[0], seen):
                    return original(to_pixels(picture)[None])
            raise AssertionError("an unknown picture was embedded")

        monkeypatch.setattr(self.m, "image_tokens", tokens)


@pytest.fixture(params=[True, False], ids=["term_by_term", "batched"])
def term_by_term(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("record", CASES)
def test_sampling(
    record: dict[str, Any], term_by_term: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(record, monkeypatch, term_by_term)
    tape = run.tape
    assert run.first is not None
    assert off(run.first, tape["call00.noise_pred"]) < PREDICTION
    recorded = [
        tape[k] for k in sorted(tape) if k.endswith(".latents_out") and k.startswith("call")
    ]
    assert len(run.latents) == len(recorded) == len(record["calls"])
    for ours, theirs in zip(run.latents, recorded, strict=True):
        # early latents are hundreds in size: the same relative rounding, so the gate scales with
        # them
        assert off(ours, theirs) < LATENTS * max(1.0, float(theirs.abs().max()) / 10)
    assert off(run.z, tape["out.latents"]) < LATENTS
    assert off((run.pixels / 2 + 0.5).clamp(0, 1), tape["out.frames"]) < FRAMES


@pytest.mark.parametrize("record", CASES)
def test_conditions_and_schedule(record: dict[str, Any]) -> None:
    p, tape = record["params"], tensors(record["case"])
    m = base.load(model_folder(record["model_dir"]), device="cpu", dtype="fp32")
    path = m.path(p["num_inference_steps"])
    sigmas = torch.tensor([level.sigma for level in path])
    # their sigmas are float32: relative 1e-6
    assert torch.allclose(sigmas, tape["sched.sigmas"], rtol=1e-6, atol=0)
    times = torch.tensor([level.t for level in path[:-1]])
    assert off(times, tape["sched.timesteps"]) < 1e-6
    assert path[0].scale == pytest.approx(float(tape["sched.init_noise_sigma"]), rel=1e-6)
    motion = base.Motion(
        fps=p["fps"], bucket=p["motion_bucket_id"], noise_aug=p["noise_aug_strength"]
    )
    guided = p["max_guidance_scale"] > 1
    with torch.inference_mode():
        for which in ("1", "2"):
            picture = tape[f"in.image{which}"].numpy()
            fitted = to_pixels(fit(picture, p["height"], p["width"], "stretch"))[None]
            keys = Keyframes(fitted, (0,), p["num_frames"])
            cond = m.condition(keys, motion=motion, noise=tape["noise.aug"])
            null = m.null(cond)
            tokens = m.image_tokens(to_pixels(picture)[None])  # type: ignore[attr-defined]
            both = [torch.zeros_like(tokens), tokens] if guided else [tokens]
            assert off(torch.cat(both), tape[f"mid.image_embeds{which}"]) < 1e-5
            terms = [null, cond] if guided else [cond]
            latents = torch.cat([c.concat[:, 0] for c in terms if c.concat is not None])
            assert off(latents, tape[f"mid.image_latent{which}"]) < 1e-4
            told = torch.cat([c.motion for c in terms if c.motion is not None])
            assert off(told, tape["mid.added_time_ids"]) < 1e-6
            name = f"mid.clip_pixels{which}_stride4"
            if name in tape:
                seen: list[Tensor] = []

                def watch(_: nn.Module, forward: Any, x: Tensor, seen: list[Tensor] = seen) -> Any:
                    seen.append(x)
                    return forward(x)

                with overriding([m.image_encoder], watch):  # type: ignore[attr-defined]
                    m.image_tokens(to_pixels(picture)[None])  # type: ignore[attr-defined]
                assert off(seen[0][:, :, ::4, ::4], tape[name]) < 1e-5


@pytest.mark.parametrize("record", CASES)
def test_raw_network_outputs_of_both_directions(
    record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[Tensor] = []

    def record_network(run_network: Any) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            result = run_network(*args, **kwargs)
            outputs.append(result[0])
            return result

        return forward

    original = base.load

    def load(*args: Any, **kwargs: Any) -> Any:
        m = original(*args, **kwargs)
        m.network.forward = record_network(m.network.forward)  # type: ignore[method-assign]
        return m

    monkeypatch.setattr(base, "load", load)
    run = Run(record, monkeypatch, term_by_term=True)
    # term by term, the conditional call comes first; the recordings hold the unconditional rows
    # first
    terms = outputs[1::-1] if len(run.tape["step0.unet_fwd_out"]) == 2 else outputs[:1]
    ours_forward = torch.cat([o.chunk(2)[0] for o in terms])
    ours_backward = torch.cat([o.chunk(2)[1] for o in terms])
    assert off(ours_forward, run.tape["step0.unet_fwd_out"]) < PREDICTION
    assert off(ours_backward, run.tape["step0.unet_bwd_out"]) < PREDICTION


@pytest.mark.parametrize(
    "file", sorted(FOLDER.glob("gi_unit_attn*.safetensors")), ids=lambda f: f.stem
)
def test_rotated_attention_layer(file: Any) -> None:
    from diffusers.models.attention_processor import Attention

    tape = load_file(file)
    heads = tape["map_fwd"].shape[1]
    width = tape["to_q.weight"].shape[1]
    layer = Attention(query_dim=width, heads=heads, dim_head=tape["to_q.weight"].shape[0] // heads)
    layer.load_state_dict(
        {
            "to_q.weight": tape["to_q.weight"],
            "to_k.weight": tape["to_k.weight"],
            "to_v.weight": tape["to_v_fwd.weight"],
            "to_out.0.weight": tape["to_out_fwd.weight"],
            "to_out.0.bias": tape["to_out_fwd.bias"],
        }
    )
    delta = Delta(
        tape["to_v_bwd.weight"] - tape["to_v_fwd.weight"],
        tape["to_out_bwd.weight"] - tape["to_out_fwd.weight"],
        tape["to_out_bwd.bias"] - tape["to_out_fwd.bias"],
    )
    with torch.no_grad(), overriding([layer], rotate_pairs({layer: delta})):
        ahead, back = layer(torch.cat([tape["hidden_fwd"], tape["hidden_bwd"]])).chunk(2)
    assert off(ahead, tape["out_fwd"]) < ATTENTION
    assert off(back, tape["out_bwd"]) < ATTENTION


@pytest.mark.parametrize("record", CASES)
def test_delta_merge_gives_the_reference_backward_weights(record: dict[str, Any]) -> None:
    """reference rule: pipeline + (tuned - base14) on temporal attn1 to_v and to_out, nothing
    else.
    """
    weights = {
        part: load_file(model_folder(record[part]) / "unet" / "diffusion_pytorch_model.safetensors")
        for part in ("model_dir", "base_dir", "reverse_dir")
    }
    reverse = deltas.from_pair(
        model_folder(record["reverse_dir"]), model_folder(record["base_dir"])
    )
    m = base.load(model_folder(record["model_dir"]), device="cpu", dtype="fp32", reverse=reverse)
    names = {module: name for name, module in m.network.named_modules()}
    layers = [
        n.removesuffix(".to_v.weight")
        for n in weights["model_dir"]
        if n.endswith("attn1.to_v.weight")
    ]
    layers = [n for n in layers if "temporal_transformer_blocks.0" in n]
    assert sorted(names[module] for module in m.reverse) == sorted(layers)
    for module, delta in m.reverse.items():
        for part, ours in (("to_v.weight", delta.to_v), ("to_out.0.weight", delta.to_out)):
            key = f"{names[module]}.{part}"
            model, tuned, start = (
                weights[k][key].float() for k in ("model_dir", "reverse_dir", "base_dir")
            )
            assert ours is not None
            assert off(model + ours, model + (tuned - start)) < 1e-6  # one float32 rounding


def misordered(m: Any) -> Any:
    """diffusers 0.27.0's temporal cross-attention: context position-major beside batch-major hidden
    states.

    There row b*HW + p of a direction's batch (null, cond) was given context (b*HW + p) mod 2.
    """
    # the shortcut takes one context per sample for granted
    m.shortcuts.spatial_cross_attention.clear()
    m.shortcuts.temporal_cross_attention.clear()
    m.shortcuts.cross_norm.clear()

    def swap(
        _: nn.Module, forward: Any, h: Tensor, *, encoder_hidden_states: Tensor, **rest: Any
    ) -> Any:
        told = torch.unflatten(
            encoder_hidden_states, 0, (2, 2, -1)
        )  # direction, (cond, null), position
        positions = torch.arange(told.shape[2])
        wrong = torch.empty_like(told)
        for term, row in ((1, 0), (0, 1)):  # where the reference kept each term in its batch
            odd = ((row * len(positions) + positions) % 2).bool()[:, None, None]
            for direction in range(2):
                cond, null = told[direction]
                wrong[direction, term] = torch.where(odd, cond, null)
        return forward(h, encoder_hidden_states=wrong.flatten(0, 2), **rest)

    blocks = [
        module
        for name, module in m.network.named_modules()
        if name.endswith(".temporal_transformer_blocks.0")
    ]
    return overriding(blocks, swap)


@pytest.mark.parametrize("record", [case for case in CASES if case.values[0].get("cfg_batch") == 2])
def test_the_old_librarys_context_order_is_all_that_separates_the_published_results(
    record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = base.load
    opened: list[Any] = []

    def load(*args: Any, **kwargs: Any) -> Any:
        m = original(*args, **kwargs)
        opened.append(misordered(m))
        opened[-1].__enter__()
        return m

    monkeypatch.setattr(base, "load", load)
    run = Run(record, monkeypatch, term_by_term=False)
    assert run.first is not None
    assert off(run.first, run.tape["d027.call00.noise_pred"]) < PREDICTION
    assert off(run.z, run.tape["d027.out.latents"]) < LATENTS
    assert off(run.tape["d027.out.latents"], run.tape["out.latents"]) > 0.5  # and it matters
