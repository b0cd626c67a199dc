"""A backbone that goes down the memory ladder when its device runs out of memory.

Whatever a backbone is asked is a pure function of what it is told: the latents and the level of a
step, the latents to decode, the keyframes to condition on. So the call that ran out is made again a
rung lower with the same arguments, and sampling goes on from the same noise and step. There is no
way back up: what did not fit will not fit at the next step.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from vtg_cli.backbones.base import STANDARD_MOTION, Backbone, Motion, OnFrames, Reader
from vtg_cli.conditioning.cond import Cond
from vtg_cli.conditioning.keyframes import Keyframes
from vtg_cli.ground.hooks import overriding
from vtg_cli.ground.tensor import FRAMES
from vtg_cli.lowmem.offload import away
from vtg_cli.lowmem.tiles import encoded_in_tiles, in_tiles, in_windows
from vtg_cli.machine.rungs import OutOfRungsError, Rung, ran_out
from vtg_cli.sampling.level import Level

T = TypeVar("T")


class Movable(Backbone, Protocol):
    """A backbone whose parts may lie elsewhere than it computes."""

    decode_chunk: int

    def parts(self) -> Mapping[str, nn.Module]:
        """Return all of its networks by name."""

    def encoder(self) -> nn.Module:
        """Return the part of its autoencoder that looks at pixels, [N, 3, H, W]."""

    def compute_on(self, device: torch.device) -> None:
        """Compute on `device` from now on, wherever its weights lie."""


class Ladder:
    """A Backbone at one of `rungs`, the first of them while memory lasts.

    tried: the rungs so far; the last one is the present one
    piece: which of the calls of the network that make up a call of this is under way; what is kept
        of one (lowmem/deepcache.py) is no answer to another, nor at another rung
    """

    def __init__(
        self,
        m: Movable,
        rungs: Sequence[Rung],
        device: torch.device,
        *,
        decode_chunk: int | None = None,
        tried: tuple[str, ...] = (),
    ) -> None:
        """Put a model on its ladder.

        device: where it computes
        decode_chunk: as the user set it, which no rung changes
        tried: rungs that were too much before there was a model
        """
        self._m, self._device, self._rungs = m, device, list(rungs)
        self._own_chunk, self._given_chunk = m.decode_chunk, decode_chunk
        self._settled: Rung | None = None
        self._stack = ExitStack()
        self.piece: tuple[str, int] = (rungs[0].name, 0)
        self.tried: tuple[str, ...] = (*tried, rungs[0].name)
        self._within(lambda: None)  # from the start it tells where it computes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._m, name)

    @property
    def rung(self) -> Rung:
        return self._rungs[0]

    def __call__(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        return self._within(lambda: self._denoised(x, level, cond))

    def encode(self, pixels: Tensor) -> Tensor:
        return self._within(lambda: self._m.encode(pixels))

    def decode(
        self, z: Tensor, keyframes: Keyframes | None = None, on_frames: OnFrames | None = None
    ) -> Tensor:
        best = 0

        def counted(done: int, frames: int) -> None:
            nonlocal best
            best = max(best, done)  # one that begins anew has been further
            if on_frames is not None:
                on_frames(best, frames)

        return self._within(lambda: self._decoded(z, keyframes, counted))

    def guess(self, keyframes: Keyframes) -> Tensor:
        return self._within(lambda: self._m.guess(keyframes))

    def condition(
        self,
        keyframes: Keyframes,
        text: Tensor | None = None,
        motion: Motion = STANDARD_MOTION,
        noise: Tensor | None = None,
    ) -> Cond:
        return self._within(lambda: self._m.condition(keyframes, text, motion, noise))

    def null(self, cond: Cond, drop: Collection[str] = ("text", "image")) -> Cond:
        return self._within(lambda: self._m.null(cond, drop))

    def text_embedding(self, captions: Sequence[str]) -> Tensor:
        return self._within(lambda: cast(Reader, self._m).text_embedding(captions))

    def _denoised(self, x: Tensor, level: Level, cond: Cond) -> Tensor:
        rung, pieces = self.rung, count()

        def denoised(part: Tensor, part_cond: Cond) -> Tensor:
            self.piece = rung.name, next(pieces)
            return self._m(part, level, part_cond)

        def at_once(part: Tensor, part_cond: Cond) -> Tensor:
            if rung.window is None:
                return denoised(part, part_cond)
            return in_windows(denoised, part, part_cond, rung.window)

        if not rung.one_by_one or cond.terms == 1:
            return at_once(x, cond)
        terms = range(cond.terms)
        each = [at_once(x[k :: len(terms)], cond.term(k)) for k in terms]
        return torch.stack(each, 1).flatten(0, 1)

    def _decoded(self, z: Tensor, keyframes: Keyframes | None, on_frames: OnFrames) -> Tensor:
        tile = self.rung.tile
        if tile is None:
            return self._m.decode(z, keyframes, on_frames)
        frames: list[Tensor] = []
        for chunk in torch.split(z, self._m.decode_chunk, FRAMES):
            frames.append(in_tiles(lambda part: self._m.decode(part, keyframes), chunk, tile))
            on_frames(sum(each.shape[FRAMES] for each in frames), z.shape[FRAMES])
        return torch.cat(frames, FRAMES)

    def _within(self, work: Callable[[], T]) -> T:
        while True:
            try:
                self._settle()
                return work()
            except Exception as error:
                if not ran_out(error):
                    raise
                ran = error.with_traceback(None)  # whose frames hold what has to be freed
            self._step_down(ran)

    def _settle(self) -> None:
        """Make the model what the rung says."""
        rung, m = self.rung, self._m
        if self._settled is rung:
            return
        self._stack.close()
        m.decode_chunk = self._given_chunk or rung.chunk or self._own_chunk
        if rung.weights != "here":
            m.compute_on(self._device)
            parts = m.parts().values()
            narrow = [m.network] if rung.narrow else []
            self._stack.enter_context(away(parts, self._device, rung.weights, narrow=narrow))
        if rung.tile is not None:
            encoding = partial(self._encoded, rung.tile)
            self._stack.enter_context(overriding([m.encoder()], encoding))
        _give_back(self._device)
        self._settled = rung

    def _encoded(
        self, tile: int, _: nn.Module, forward: Callable[[Tensor], Tensor], pixels: Tensor
    ) -> Tensor:
        height, width = pixels.shape[-2:]
        return encoded_in_tiles(forward, pixels, self._m.latent_size(height, width), tile)

    def _step_down(self, error: Exception) -> None:
        if len(self._rungs) == 1:
            raise OutOfRungsError(self.tried) from error
        del self._rungs[0]
        if self.rung.name != self.tried[-1]:
            self.tried += (self.rung.name,)
        gc.collect()  # what the failed call had may hang in cycles
        _give_back(self._device)


def _give_back(device: torch.device) -> None:
    """Return memory that nothing holds any more to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
