"""Stable Video Diffusion on diffusers' own network, autoencoder and image encoder.

EDM with v-prediction, n = sqrt(sigma^2 + 1):    x0 = x / n^2 - sigma / n * network(x / n)

Quirks that stay in here: the conditioning latents beside x are not scaled, fps is told minus one,
pictures reach CLIP through an anti-aliased bicubic resize with aligned corners, and the autoencoder
may insist on float32.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import torch
from torch import Tensor, nn

from vtg_cli.backbones.base import STANDARD_MOTION, Motion, OnFrames, Spec, spec_of
from vtg_cli.backbones.clip_pixels import CLIP_SIZE, antialiased_resize, clip_colours
from vtg_cli.backbones.deltas import layer_deltas, moved
from vtg_cli.backbones.svd.shortcuts import CROSS_ATTENTION, Shortcuts
from vtg_cli.backbones.svd.spec import DECODE_CHUNK
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.errors import WeightsError
from vtg_cli.flow.motion import motion_compensated
from vtg_cli.ground import documents
from vtg_cli.ground.tensor import FRAMES
from vtg_cli.machine.device import choose_device, choose_dtype
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.path import Path, ays_sigmas, edm_path, karras_sigmas, lcm_sigmas
from vtg_cli.weights import layout, sizes

KINDS = {
    "temporal_attention": r"\.temporal_transformer_blocks\.\d+\.attn1$",
    "spatial_attention": r"\.transformer_blocks\.\d+\.attn1$",
    "cross_attention": CROSS_ATTENTION,
    "block": r"\.(temporal_)?transformer_blocks\.\d+$",
}


class SVD:
    """A Backbone (backbones.base), conditioned on one picture, the first frame of its own time."""

    def __init__(
        self,
        network: nn.Module,
        vae: Any,
        image_encoder: Any,
        spec: Spec,
        *,
        sigmas: tuple[float, float] = (0.002, 700.0),
        reverse: Mapping[str, Tensor] | None = None,
        decode_chunk: int | None = None,
    ) -> None:
        self.network, self.vae, self.image_encoder = network, vae, image_encoder
        self.spec, self.sigmas = spec, sigmas
        self.decode_chunk = decode_chunk or DECODE_CHUNK
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self._modules = {
            kind: [m for name, m in network.named_modules() if re.search(pattern, name)]
            for kind, pattern in KINDS.items()
        } | {"block_along_time": []}
        unet: Any = network
        below, above = unet.down_blocks[1:], unet.up_blocks[:-1]
        self._modules["deep"] = [*below, unet.mid_block, *above]
        self.shortcuts = Shortcuts(network)
        temporal = self._modules["temporal_attention"]
        self._modules["first_temporal_attention"] = temporal  # its blocks have one
        self.reverse = layer_deltas(network, temporal, reverse or {})

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.image is not None and cond.concat is not None and cond.motion is not None
        scaled = torch.cat([x / level.scale, cond.concat], 2).to(self.dtype)
        t = torch.tensor([level.t], device=self.device)
        each = cond.image.to(self.dtype) if cond.image.shape[FRAMES] > 1 else None
        with self.shortcuts.taking(len(x), each):
            v = self.network(
                scaled, t, cond.image[:, 0].to(self.dtype), cond.motion, return_dict=False
            )[0]
        return level.x0_from_v(x, v.float())

    def path(self, steps: int, schedule: str | None = None) -> Path:
        """Return the path from noise to data. schedule: of Spec.schedules; "ays" whatever the
        model's own range of noise.
        """
        name = schedule or self.spec.schedules[0]
        if name == "ays":
            return edm_path(ays_sigmas(steps))
        spread = lcm_sigmas if name == "lcm" else karras_sigmas
        return edm_path(spread(steps, *self.sigmas))

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height // self.spec.factor, width // self.spec.factor

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode to the posterior's mode. noise: unit normal of its shape, for a sample."""
        posterior = self._posterior(pixels.flatten(0, 1))
        flat: Tensor = posterior.mode().float()
        if noise is not None:
            flat = flat + posterior.std.float() * noise.flatten(0, 1).to(flat)
        return torch.unflatten(flat * self.vae.config.scaling_factor, 0, pixels.shape[:2])

    def decode(
        self, z: Tensor, keyframes: Keyframes | None = None, on_frames: OnFrames | None = None
    ) -> Tensor:
        """Decode [B, F, C, h, w] to [B, F, 3, H, W], not clamped. `keyframes` are not looked at."""
        flat = (z / self.vae.config.scaling_factor).flatten(0, 1).to(self.vae.dtype)
        frames: list[Tensor] = []
        for chunk in flat.split(self.decode_chunk):
            frames.extend(self.vae.decode(chunk, num_frames=len(chunk)).sample.float())
            if on_frames is not None:
                on_frames(len(frames), len(flat))
        return torch.unflatten(torch.stack(frames), 0, z.shape[:2])

    def guess(self, keyframes: Keyframes) -> Tensor:
        frames = motion_compensated(keyframes)[None].to(self.device)
        chunks = torch.split(frames, self.decode_chunk, 1)
        return torch.cat([self.encode(chunk) for chunk in chunks], 1)

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        """Return the conditions of one keyframe at position 0. Its latents (posterior mode,
        unscaled) stand beside every frame.
        """
        if keyframes.positions != (0,) or text is not None:
            raise ValueError("SVD is conditioned on one picture at position 0, and on no text")
        pixels = keyframes.pixels.to(self.device)
        noisy = pixels if noise is None else pixels + motion.noise_aug * noise.to(pixels)
        mode: Tensor = self._posterior(noisy).mode()
        concat = mode.float()[:, None].expand(-1, keyframes.length, -1, -1, -1)
        numbers = [motion.fps - 1.0, float(motion.bucket), motion.noise_aug]
        return Cond(
            image=self.image_tokens(pixels)[:, None],
            concat=concat,
            motion=torch.tensor([numbers], device=self.device),
        )

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        """Drop the picture altogether, as SVD was trained to: zero tokens and zero latents."""
        if "image" not in drop or cond.image is None or cond.concat is None:
            return cond
        return replace(
            cond, image=torch.zeros_like(cond.image), concat=torch.zeros_like(cond.concat)
        )

    def modules(self, kind: str) -> Sequence[nn.Module]:
        return self._modules[kind]

    def parts(self) -> Mapping[str, nn.Module]:
        """Return all of its networks by name."""
        return {"unet": self.network, "vae": self.vae, "image_encoder": self.image_encoder}

    def encoder(self) -> nn.Module:
        """Return the part of its autoencoder that looks at pixels."""
        encoder: nn.Module = self.vae.encoder
        return encoder

    def compute_on(self, device: torch.device) -> None:
        """Compute on `device` from now on, wherever its weights lie."""
        self.device, self.reverse = device, moved(self.reverse, device)
        self.shortcuts.on_cpu = device.type == "cpu"

    def image_tokens(self, pixels: Tensor) -> Tensor:
        """Return CLIP's projected embedding: [B, 3, H, W] in [-1, 1], any size -> [B, 1, D]."""
        seen = clip_colours(antialiased_resize(pixels.float(), CLIP_SIZE))
        embeds: Tensor = self.image_encoder(seen.to(self.dtype)).image_embeds
        return embeds[:, None].float()

    def _posterior(self, pixels: Tensor) -> Any:  # [B, 3, H, W]
        return self.vae.encode(pixels.to(self.device, self.vae.dtype)).latent_dist


def load(
    folder: FilePath,
    *,
    device: str = "auto",
    dtype: str = "auto",
    reverse: Mapping[str, Tensor] | None = None,
    decode_chunk: int | None = None,
) -> SVD:
    """Load the model in a folder of diffusers layout (safetensors only, nothing is downloaded).

    Raises WeightsError if files are missing, corrupt or of another kind.
    """
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionModelWithProjection

    where = choose_device(device)
    precision = choose_dtype(dtype, where)
    spec = spec_of(folder)
    upcast = _config(folder / "vae" / "config.json").get("force_upcast", True)
    with _quiet_libraries():
        network = _part(UNetSpatioTemporalConditionModel, folder, "unet", precision)
        vae = _part(
            AutoencoderKLTemporalDecoder, folder, "vae", torch.float32 if upcast else precision
        )
        image_encoder = _part(CLIPVisionModelWithProjection, folder, "image_encoder", precision)
    return SVD(
        network.to(where),
        vae.to(where),
        image_encoder.to(where),
        spec,
        sigmas=_sigma_range(folder),
        reverse=reverse,
        decode_chunk=decode_chunk,
    )


def check_unet(config: FilePath, weights: Sequence[FilePath]) -> None:
    """Check headers of weight files against the network of a config; no weight is read.

    Raises WeightsError naming the first tensor, in alphabetical order, that differs.
    """
    from diffusers import UNetSpatioTemporalConditionModel

    kind: Any = UNetSpatioTemporalConditionModel
    try:
        with torch.device("meta"), _quiet_libraries():
            network = kind.from_config(documents.json_file(config))
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{config} describes no U-Net: {error}", subject=str(config)) from error
    wanted = {name: list(value.shape) for name, value in network.state_dict().items()}
    stored = {name: shape for file in weights for name, shape in sizes.shapes_in(file).items()}
    for name in sorted(stored.keys() | wanted.keys()):
        if stored.get(name) == wanted.get(name):
            continue
        odd = f"{name} is {stored.get(name)} in it, not {wanted.get(name)}"
        if name not in wanted:
            odd = f"{name} does not belong to it"
        elif name not in stored:
            odd = f"it lacks {name}"
        raise WeightsError(
            f"{weights[0]} is not the network that {config} describes: {odd}",
            "fetch the model again, or give the file its own config",
            subject=name,
        )


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the libraries' loading bars and advice off stderr."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    both = (diffusers_logging, transformers_logging)
    levels = [library.get_verbosity() for library in both]
    bars = [library.is_progress_bar_enabled() for library in both]
    for library in both:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level, bar in zip(both, levels, bars, strict=True):
            library.set_verbosity(level)
            if bar:
                library.enable_progress_bar()


def _part(kind: Any, folder: FilePath, name: str, dtype: torch.dtype) -> Any:
    stem = layout.STEMS[name]
    names = layout.names_in(folder / name)
    full = layout.weights_among(names, stem, half=False)
    half = layout.weights_among(names, stem)
    if not full:
        raise WeightsError(
            f"{folder / name} has no {stem}.safetensors",
            "the folder is incomplete (old .bin files are not read); fetch the model again",
            subject=str(folder / name),
        )
    weights = half if dtype == torch.float16 else full
    if name == "unet":  # in which the library would leave what is missing as it happens to be
        check_unet(folder / name / "config.json", [folder / name / file for file in weights])
    variant = "fp16" if weights[0].startswith(f"{stem}.fp16") else None
    try:
        part = kind.from_pretrained(
            folder,
            subfolder=name,
            torch_dtype=dtype,
            variant=variant,
            use_safetensors=True,
            local_files_only=True,
        )
    except MemoryError:
        raise
    except Exception as error:  # the libraries raise whatever their parsers raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{folder / name} cannot be loaded: {reason}", subject=str(folder / name)
        ) from error
    return part.eval().requires_grad_(False)


def _config(file: FilePath) -> dict[str, Any]:
    with documents.reading(file, WeightsError, "fetch the model again"):
        return documents.json_file(file)


def _sigma_range(folder: FilePath) -> tuple[float, float]:
    file = folder / "scheduler" / "scheduler_config.json"
    config = _config(file) if file.exists() else {}
    if config.get("prediction_type", "v_prediction") != "v_prediction":
        raise WeightsError(f"{file}: only v_prediction is supported", subject=str(file))
    least, most = config.get("sigma_min") or 0.002, config.get("sigma_max") or 700.0
    with documents.reading(file, WeightsError, "fetch the model again"):
        if not 0 < least < most:
            raise ValueError(f"noise from {least} to {most} is none")
        return float(least), float(most)
