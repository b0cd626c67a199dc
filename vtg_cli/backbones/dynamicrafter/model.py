"""DynamiCrafter as a Backbone: latents of known frames beside the noisy ones, image tokens of the
first keyframe for every frame, and a caption.

    v  ->  x0 = (alpha x - sigma v) / gain        its 256 model predicts eps instead

Quirks that stay in here: the path ends on alpha_bar[0] and not on data; the latents beside x are
scaled like all others, and stand in every frame (one keyframe) or at both ends with zeros between;
nothing known of the picture means the tokens of a grey one, beside which the latents stay.

The reference takes a sample of the autoencoder's posterior where `condition` takes its mode, which
is the same for every seed; `encode(..., noise=...)` gives the sample.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import torch
from torch import Tensor, nn

from vtg_cli.backbones.base import STANDARD_MOTION, Motion, OnFrames
from vtg_cli.backbones.clip_pixels import CLIP_SIZE
from vtg_cli.backbones.deltas import layer_deltas, moved
from vtg_cli.backbones.dynamicrafter import towers
from vtg_cli.backbones.dynamicrafter.prompts import Prompts
from vtg_cli.backbones.dynamicrafter.resampler import Resampler
from vtg_cli.backbones.dynamicrafter.spec import DECODE_CHUNK, Facts, spec
from vtg_cli.backbones.dynamicrafter.unet import UNet
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.flow.motion import motion_compensated
from vtg_cli.ground.tensor import FRAMES
from vtg_cli.sampling.level import Level
from vtg_cli.sampling.path import Path, dynamicrafter_path

KINDS = ("spatial_attention", "cross_attention", "block", "block_along_time")


class DynamiCrafter:
    """A Backbone (backbones.base), conditioned on one keyframe at position 0 or on both ends."""

    def __init__(
        self,
        unet: UNet,
        resampler: Resampler,
        autoencoder: Any,
        image_tower: nn.Module,
        text_tower: Any,
        facts: Facts,
        *,
        folder: FilePath | None = None,
        reverse: Mapping[str, Tensor] | None = None,
        decode_chunk: int | None = None,
    ) -> None:
        """Assemble the model. folder: where its tokenizer/ may be; reverse: parameter name -> delta
        of the U-Net.
        """
        self.network, self.resampler, self.autoencoder = unet, resampler, autoencoder
        self.image_tower, self.text_tower, self.facts = image_tower, text_tower, facts
        self.spec = spec(folder.name if folder else facts.variant, facts)
        self.decode_chunk = decode_chunk or DECODE_CHUNK
        table = text_tower.embeddings
        self.prompts = Prompts(
            folder, table.token_embedding.num_embeddings, table.position_embedding.num_embeddings
        )
        weight = next(unet.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        temporal = unet.parts("temporal_attention")  # a block's first and second in turn
        self._modules = {kind: unet.parts(kind) for kind in KINDS} | {
            "temporal_attention": temporal,
            "first_temporal_attention": temporal[::2],
            "deep": unet.deep(),
        }
        self.reverse = layer_deltas(unet, temporal, reverse or {})
        self._grey: Tensor | None = None
        self._empty: Tensor | None = None

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        assert cond.text is not None and cond.image is not None
        assert cond.concat is not None and cond.motion is not None
        seen = torch.cat([x, cond.concat], 2).to(self.dtype)
        t = torch.tensor([level.t], device=self.device)
        out = self.network(seen, t, cond.text, cond.image, cond.motion[:, 0]).float()
        if self.facts.prediction == "eps":
            return level.x0_from_eps(x, out)
        return level.x0_from_v(x, out)

    def path(self, steps: int, schedule: str | None = None) -> Path:
        facts = self.facts
        return dynamicrafter_path(steps, facts.base_scale, facts.spacing, facts.zero_snr)

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        pixels = 2 ** (len(self.autoencoder.config.block_out_channels) - 1)
        return height // pixels, width // pixels

    def encode(self, pixels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Encode [B, F, 3, H, W] to latents, the posterior's mode.

        noise: unit normal of the latents' shape, for a sample of the posterior
        """
        flat = pixels.flatten(0, 1).to(self.device, self.autoencoder.dtype)
        parts: list[Tensor] = []
        for n, chunk in enumerate(torch.split(flat, self.decode_chunk)):
            posterior = self.autoencoder.encode(chunk).latent_dist
            latents = posterior.mode().float()
            if noise is not None:
                draw = torch.split(noise.flatten(0, 1), self.decode_chunk)[n]
                latents = latents + posterior.std.float() * draw.to(latents)
            parts.append(latents)
        return torch.unflatten(torch.cat(parts) * self.facts.scale, 0, pixels.shape[:2])

    def decode(
        self, z: Tensor, keyframes: Keyframes | None = None, on_frames: OnFrames | None = None
    ) -> Tensor:
        """Decode [B, F, C, h, w] to [B, F, 3, H, W], not clamped. `keyframes` are not looked at."""
        flat = (z / self.facts.scale).flatten(0, 1).to(self.device, self.autoencoder.dtype)
        frames: list[Tensor] = []
        for chunk in torch.split(flat, self.decode_chunk):
            frames.extend(self.autoencoder.decode(chunk).sample.float())
            if on_frames is not None:
                on_frames(len(frames), len(flat))
        return torch.unflatten(torch.stack(frames), 0, z.shape[:2])

    def guess(self, keyframes: Keyframes) -> Tensor:
        return self.encode(motion_compensated(keyframes)[None])

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        """Return the conditions of keyframes at position 0 or at both ends.

        text: embeddings [1, L, D], or [1, F, L, D] with a caption for every frame; None: the empty
            caption's
        motion: only fs is used
        noise: unused by this model

        Raises ValueError for keyframes elsewhere.
        """
        length = keyframes.length
        if keyframes.positions not in ((0,), (0, length - 1)):
            raise ValueError(
                "DynamiCrafter is conditioned on keyframes at both ends, or on one at position 0"
            )
        if text is None:
            text = self.empty_text()
        text = text[:, None] if text.ndim == 3 else text
        fs = self.facts.fs if motion.fs is None else motion.fs
        latents = self.encode(keyframes.pixels[None])[0]
        return Cond(
            text=text.to(self.device),
            image=self.image_tokens(keyframes.pixels[:1], length),
            concat=beside(latents, length)[None],
            motion=torch.tensor([[float(fs)]], device=self.device),
        )

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        """Drop text for the empty caption and the image for a grey one's tokens.

        The latents beside x stay, as in the reference's guidance.
        """
        if "text" in drop and cond.text is not None:
            cond = replace(cond, text=self.empty_text()[:, None].expand_as(cond.text))
        if "image" in drop and cond.image is not None:
            frames = cond.image.shape[FRAMES]
            cond = replace(cond, image=self._grey_tokens(frames).expand_as(cond.image))
        return cond

    def modules(self, kind: str) -> Sequence[nn.Module]:
        return self._modules[kind]

    def parts(self) -> Mapping[str, nn.Module]:
        """Return all of its networks by name."""
        return {
            "unet": self.network,
            "resampler": self.resampler,
            "autoencoder": self.autoencoder,
            "image_tower": self.image_tower,
            "text_tower": self.text_tower,
        }

    def encoder(self) -> nn.Module:
        """Return the part of its autoencoder that looks at pixels."""
        encoder: nn.Module = self.autoencoder.encoder
        return encoder

    def compute_on(self, device: torch.device) -> None:
        """Compute on `device` from now on, wherever its weights lie."""
        self.device, self.reverse = device, moved(self.reverse, device)

    def image_tokens(self, pixels: Tensor, frames: int) -> Tensor:
        """Turn pixels [B, 3, H, W] in [-1, 1], any size, into every frame's tokens [B, F, M, D].

        For another number of frames than it was trained on every frame gets all tokens [B, 1, F M,
        D], as in the reference.
        """
        seen = towers.embed_image(self.image_tower, pixels.to(self.device))
        weight = self.resampler.proj_in.weight
        tokens: Tensor = self.resampler(seen.to(weight.dtype)).float()
        return tokens if frames == tokens.shape[FRAMES] else tokens.flatten(1, 2)[:, None]

    def text_embedding(self, captions: Sequence[str]) -> Tensor:
        """Embed n captions as [n, L, D]. Raise WeightsError if CLIP's vocabulary is missing."""
        return towers.embed_text(self.text_tower, self.prompts(captions).to(self.device))

    def empty_text(self) -> Tensor:
        """Return the empty caption's embedding [1, L, D]."""
        if self._empty is None:
            with torch.inference_mode(False), torch.no_grad():  # kept, so also for training
                nothing = self.prompts.empty().to(self.device)
                self._empty = towers.embed_text(self.text_tower, nothing)
        return self._empty

    def _grey_tokens(self, frames: int) -> Tensor:
        if self._grey is None:
            with torch.inference_mode(False), torch.no_grad():
                grey = torch.zeros(1, 3, CLIP_SIZE, CLIP_SIZE)  # any size would do
                self._grey = self.image_tokens(grey, self.resampler.config.frames)
        same = frames == self.resampler.config.frames
        return self._grey if same else self._grey.flatten(1, 2)[:, None]


def beside(latents: Tensor, frames: int) -> Tensor:
    """Return what stands beside x, [F, C, h, w]: one keyframe's latents [1, C, h, w] in every
    frame; those of both ends [2, C, h, w] there, zeros between.
    """
    if len(latents) == 1:
        return latents.expand(frames, -1, -1, -1)
    concat = latents.new_zeros(frames, *latents.shape[1:])
    concat[0], concat[-1] = latents
    return concat
