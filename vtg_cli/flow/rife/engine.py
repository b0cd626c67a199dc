"""In-betweens along the motion that RIFE's network sees: pictures in, pictures out.

What the times between two pictures share is computed once; the times then go through the network a
few at once, no more than a CPU's caches or a GPU's memory are good for. A picture is padded to what
the coarsest stage can halve; one larger than 4K is drawn in windows that overlap. In large pictures
that move far all stages look at twice the scale, which the network has learned for half their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vtg_cli.flow.engine import OnFrame, check, straight
from vtg_cli.flow.filters import Field, resize
from vtg_cli.flow.rife.network import SCALES, IFNet
from vtg_cli.flow.splatting import Moved, Picture, premultiplied, seen
from vtg_cli.ground.tensor import check_finite
from vtg_cli.ground.windows import windows

LARGEST, WINDOW = 4096 * 2304, 2304
"""Pixels of a picture that is drawn whole; the side of the windows of a larger one."""
AT_ONCE = {"cpu": 1 << 16}
ABREAST = 1 << 22
"""Pixels of all the times that go through the network together, on a CPU and elsewhere."""
MOTION = 1280
"""Long side at which motion alone is looked at."""
LARGE, FAR, LOOK = 1200, 120.0, 448
"""Long side of a picture, and pixels of motion in it, from which on scales are doubled; long side
at which the motion is looked at."""


class Rife:
    """The engine: a network on its device, in its precision."""

    def __init__(self, network: IFNet) -> None:
        self.network = network.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def modules(self, kind: str) -> list[nn.Module]:
        """Return what `--compile` compiles: its stages, of kind "block"."""
        return [*self.network.stages] if kind == "block" else []

    def in_between(
        self,
        first: Picture,
        last: Picture,
        times: Sequence[float],
        *,
        on_frame: OnFrame | None = None,
    ) -> Picture:
        """Draw frames [len(times), H, W, C] at `times` in [0, 1] between two keyframes uint8 [H, W,
        C].

        C is 1 to 4, at any size. Keyframes, alpha and errors as of flow.engine.in_between.
        """
        check(first, last, times)
        frames = np.empty((len(times), *first.shape), np.uint8)
        for i, frame in enumerate(self.each_between(first, last, times)):
            frames[i] = frame
            if on_frame is not None:
                on_frame(i + 1, len(times))
        return frames

    def each_between(
        self, first: Picture, last: Picture, times: Sequence[float]
    ) -> Iterator[Picture]:
        """Yield the frames of `in_between` one at a time, unchecked."""
        same = np.array_equal(first, last)
        drawn = self._drawn(first, last, [t for t in times if 0 < t < 1 and not same])
        for t in times:
            yield first if same or t == 0 else last if t == 1 else next(drawn)

    def motion(self, first: Picture, last: Picture) -> Callable[[float], Moved]:
        """Return where both keyframes uint8 [H, W, C] are at a time, as the network sees it; looked
        at in pictures of MOTION pixels of the long side at most.
        """
        height, width = first.shape[:2]
        share = min(1.0, MOTION / max(height, width))
        h, w = (max(1, round(n * share)) for n in (height, width))
        looked = [
            self._tensor(resize(np.float32(seen(each)) / np.float32(255), w, h))
            for each in (first, last)
        ]
        scales = self.scales(*looked)
        with torch.inference_mode():
            shared = self.network.seen(*(self._padded(each, scales) for each in looked))
        grow = np.array([width / w, height / h] * 2, np.float32)

        def at(t: float) -> Moved:
            with torch.inference_mode():
                times = torch.tensor([t], dtype=torch.float32, device=self.device)
                seen_there = self.network.between(shared, times, scales)
                check_finite(seen_there.flow, "the motion is not numbers")
                flow = seen_there.flow[0, :, :h, :w].float().movedim(0, -1).cpu().numpy() * grow
                part = torch.sigmoid(seen_there.mask[0, 0, :h, :w].float()).cpu().numpy()
            return Moved(flow[..., :2], flow[..., 2:], part, 1 - part, np.ones_like(part))

        return at

    def _drawn(self, first: Picture, last: Picture, times: Sequence[float]) -> Iterator[Picture]:
        if not times:
            return
        height, width, channels = first.shape
        looked = [self._tensor(np.float32(seen(each)) / np.float32(255)) for each in (first, last)]
        shown = [self._tensor(premultiplied(each)) for each in (first, last)]
        scales = self.scales(*looked)
        if height * width <= LARGEST:
            between = self._renderer(looked, shown, scales)
        else:
            between = self._in_windows(looked, shown, scales)
        room = AT_ONCE.get(self.device.type, ABREAST)
        some = max(1, room // min(height * width, WINDOW**2))
        for i in range(0, len(times), some):
            with torch.inference_mode():
                frames = between(torch.tensor(times[i : i + some], dtype=torch.float32))
                check_finite(frames, "the drawn frames are not numbers")
            for frame in frames.movedim(1, -1).cpu().numpy():
                yield straight(frame, channels)

    def _tensor(self, picture: Field) -> Tensor:
        """Convert [H, W, C] to [1, C, H, W]."""
        return torch.from_numpy(picture).movedim(-1, 0)[None].contiguous().to(self.device)

    @staticmethod
    def _padded(picture: Tensor, scales: Sequence[int]) -> Tensor:
        """Pad [1, C, H, W] to sizes that all stages can halve."""
        step = 4 * max(scales)
        height, width = picture.shape[2:]
        return F.pad(picture, (0, -width % step, 0, -height % step), mode="replicate")

    def _renderer(
        self, looked: Sequence[Tensor], shown: Sequence[Tensor], scales: Sequence[int]
    ) -> Callable[[Tensor], Tensor]:
        """Return times [T] -> frames [T, C, H, W], for pictures that go through the network
        whole.
        """
        height, width = looked[0].shape[2:]
        with torch.inference_mode():
            shared = self.network.seen(*(self._padded(each, scales) for each in looked))
            over = [self._padded(each, scales) for each in shown]

        def between(times: Tensor) -> Tensor:
            motion = self.network.between(shared, times.to(self.device), scales)
            return motion.merged(*over)[..., :height, :width]

        return between

    def _in_windows(
        self, looked: Sequence[Tensor], shown: Sequence[Tensor], scales: Sequence[int]
    ) -> Callable[[Tensor], Tensor]:
        """Return what `_renderer` does, for pictures drawn window by window."""

        def between(times: Tensor) -> Tensor:
            total = torch.zeros(len(times), *shown[0].shape[1:])
            for place, weight in windows(total.shape[2:], WINDOW):
                seen_here, shown_here = ([x[place] for x in pair] for pair in (looked, shown))
                drawn = self._renderer(seen_here, shown_here, scales)(times)
                total[place] += weight * drawn.cpu()
            return total

        return between

    def scales(self, first: Tensor, last: Tensor) -> tuple[int, ...]:
        """Return the scales at which the stages are to look at two pictures [1, 3, H, W]."""
        long = max(first.shape[2:])
        if long < LARGE:
            return SCALES
        small = [_shrunk(each, LOOK / long) for each in (first, last)]
        with torch.inference_mode():
            flow = self.network(*small, torch.tensor([0.5], device=self.device)).flow
        moved = flow[:, 2:].sub(flow[:, :2]).norm(dim=1).flatten().quantile(0.95)
        far = float(moved) * long / LOOK > FAR
        return tuple(2 * scale for scale in SCALES) if far else SCALES


def _shrunk(picture: Tensor, share: float) -> Tensor:
    """Shrink to that share of its size, in sizes that all stages can halve."""
    step = 4 * max(SCALES)
    size = [max(round(n * share / step), 1) * step for n in picture.shape[2:]]
    return F.interpolate(picture, size=size, mode="area")
