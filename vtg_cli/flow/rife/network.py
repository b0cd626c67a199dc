"""IFNet 4.25, the network of RIFE (Huang et al., 2011.06294): of two pictures and a time it tells
the motion that carries each of them there, and what of either is to be seen.

A head makes four features of each picture, once for all times. Five stages look at both pictures
and their features, carried by the motion known so far, at a scale each, coarse to fine, and correct
motion and mask. What a stage says is kept at the size it says it at, and read off where the next
one looks: at a scale of 4 and more that is a part of the pixels. The values are those of the same
network at full size all along, but for the rounding.

Flow [T, 4, H, W]: channels 0 and 1 are x and y from where, in pixels, to fetch the first picture;
2 and 3 the last. Mask [T, 1, H, W]: a logit, large where the first picture is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCALES = (16, 8, 4, 2, 1)
"""Scales at which the stages look, as it was trained."""
WIDTHS = (192, 128, 96, 64, 32)
PICTURE, FEATURES, OUTPUT = 3, 4, 4 + 1 + 8
"""Channels of a picture, of its features, and of what a stage says: flow, mask and memory."""
BLOCKS = 8
SLOPE = 0.2


@dataclass(frozen=True)
class Motion:
    """Flow [T, 4, H, W] in pixels and mask [T, 1, H, W] of T times; see the module."""

    flow: Tensor
    mask: Tensor

    def merged(self, first: Tensor, last: Tensor) -> Tensor:
        """Carry the pictures [1, C, H, W], of any channels, and lay them over each other: [T, C, H,
        W].
        """
        share = torch.sigmoid(self.mask)
        ahead, back = carried(first, self.flow[:, :2]), carried(last, self.flow[:, 2:])
        return ahead * share + back * (1 - share)


def carried(picture: Tensor, flow: Tensor, step: int = 1) -> Tensor:
    """Fetch a picture [1, C, H, W] from where a flow [T, 2, h, w] points, its border going on.

    step: of the pixels `looked_at` at which the flow is given. Returns [T, C, h, w].
    """
    height, width = picture.shape[2:]
    y, x = (torch.linspace(-1, 1, n)[looked_at(n, step)].to(flow) for n in (height, width))
    x = x + flow[:, 0] / max((width - 1) / 2, 1)
    y = y[:, None] + flow[:, 1] / max((height - 1) / 2, 1)
    return F.grid_sample(
        picture.expand(len(flow), -1, -1, -1),
        torch.stack((x, y), dim=-1),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )


def looked_at(length: int, step: int) -> Tensor:
    """Return which of `length` pixels in a row a picture made `step` times smaller is the mean of.

    They are the two in the middle of every `step`; all if it is 1 or 2. A step is a power of two.
    """
    if step == 1:
        return torch.arange(length)
    middle = torch.arange(step // 2 - 1, length, step)
    return torch.stack((middle, middle + 1), dim=1).flatten()


class Residual(nn.Module):
    """One residual convolution of a stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [T, width, h, w] -> the same."""
        return F.leaky_relu(self.conv(x) * self.beta + x, SLOPE)


def _halving(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, 2, 1), nn.LeakyReLU(SLOPE))


class Stage(nn.Module):
    """A correction of the flow at one scale."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_halving(inside, width // 2), _halving(width // 2, width))
        self.convblock = nn.Sequential(*(Residual(width) for _ in range(BLOCKS)))
        self.lastconv = nn.Sequential(
            nn.ConvTranspose2d(width, 4 * OUTPUT, 4, 2, 1), nn.PixelShuffle(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return flow in pixels of the stage's scale, mask and memory [T, 13, h, w].

        x: what is seen at that scale [T, inside, h, w], h and w multiples of 4
        """
        output: Tensor = self.lastconv(self.convblock(self.conv0(x)))
        return output


class Head(nn.Module):
    """The features of a picture."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(PICTURE, width, 3, 2, 1)
        self.cnn1 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn2 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, FEATURES, 4, 2, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Encode [N, 3, H, W] in [0, 1], even sizes, as features [N, 4, H, W]."""
        x = picture
        for conv in (self.cnn0, self.cnn1, self.cnn2):
            x = F.leaky_relu(conv(x), SLOPE)
        features: Tensor = self.cnn3(x)
        return features


class IFNet(nn.Module):
    """The network. Its parameters are named as in the released file."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = Head()
        for k, width in enumerate(WIDTHS):
            setattr(
                self, f"block{k}", Stage(2 * (PICTURE + FEATURES) + 1 + (OUTPUT if k else 0), width)
            )

    @property
    def stages(self) -> list[Stage]:
        """The stages, from the coarsest to the finest."""
        return [getattr(self, f"block{k}") for k in range(len(WIDTHS))]

    def forward(
        self,
        first: Tensor,
        last: Tensor,
        times: Tensor,
        scales: Sequence[int] = SCALES,
        on_stage: Callable[[Tensor], None] | None = None,
    ) -> Motion:
        """Estimate the motion at times [T] in [0, 1] between pictures [1, 3, H, W] in [0, 1].

        scales: powers of two, H and W multiples of 4 times the largest; on_stage: given the flow
        after every stage.
        """
        return self.between(self.seen(first, last), times, scales, on_stage)

    def seen(self, first: Tensor, last: Tensor) -> Tensor:
        """Return both pictures with their features, [2, 7, H, W], which all times share."""
        pictures = torch.cat((first, last))
        return torch.cat((pictures, self._through(self.encode, pictures)), dim=1)

    def between(
        self,
        pictures: Tensor,
        times: Tensor,
        scales: Sequence[int] = SCALES,
        on_stage: Callable[[Tensor], None] | None = None,
    ) -> Motion:
        """Estimate the motion as `forward` does, from what is `seen`."""
        outputs = Outputs(pictures.shape[2:])
        for stage, step in zip(self.stages, scales, strict=True):
            outputs.add(step, self._through(stage, _looked(pictures, times, outputs, step)))
            if on_stage is not None:
                on_stage(outputs.flow(1))
        return Motion(outputs.flow(1), outputs.latest(1)[:, :1])

    @staticmethod
    def _through(part: nn.Module, x: Tensor) -> Tensor:
        """Pass x through a part in that part's precision; what lies between keeps x's own."""
        result: Tensor = part(x.to(next(part.parameters()).dtype))
        return result.to(x.dtype)


class Outputs:
    """The outputs of the stages for pictures of a size (H, W), read off at the pixels
    `looked_at`.
    """

    def __init__(self, size: Sequence[int]) -> None:
        self.size = size
        self.stages: list[tuple[int, Tensor]] = []
        self._flow: Tensor | None = None  # at all pixels, of the first `_known` stages
        self._known = 0

    def add(self, scale: int, output: Tensor) -> None:
        """Take what a stage said at its scale, [T, 13, H / scale, W / scale]."""
        self.stages.append((scale, output))

    def flow(self, step: int) -> Tensor:
        """Return all corrections together, in pixels of the full size, [T, 4, h, w]."""
        if step > 2:
            return _sum(
                None, [(s, self._read(s, output[:, :4], step)) for s, output in self.stages]
            )
        new = self.stages[self._known :]
        self._flow = _sum(
            self._flow, [(s, self._read(s, output[:, :4], step)) for s, output in new]
        )
        self._known = len(self.stages)
        return self._flow

    def latest(self, step: int) -> Tensor:
        """Return mask and memory of the last stage, [T, 9, h, w]."""
        scale, output = self.stages[-1]
        return self._read(scale, output[:, 4:], step)

    def _read(self, scale: int, low: Tensor, step: int) -> Tensor:
        if step <= 2:
            return _resized(low, scale)
        rows = _along(low, scale, self.size[0], step, 2)
        return _along(rows, scale, self.size[1], step, 3)


def _sum(flow: Tensor | None, corrections: Sequence[tuple[int, Tensor]]) -> Tensor:
    for scale, correction in corrections:
        flow = scale * correction if flow is None else flow.add(correction, alpha=scale)
    assert flow is not None
    return flow


def _along(x: Tensor, scale: int, length: int, step: int, axis: int) -> Tensor:
    """Compute `_resized` along one axis, read at the pixels `looked_at`."""
    place = ((looked_at(length, step) + 0.5) / scale - 0.5).clamp(min=0).to(x.device)
    before = place.long()
    after = (before + 1).clamp(max=x.shape[axis] - 1)
    share = (place - before).to(x.dtype).view(-1, *[1] * (3 - axis))
    return torch.lerp(x.index_select(axis, before), x.index_select(axis, after), share)


def _resized(x: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return x
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _looked(pictures: Tensor, times: Tensor, outputs: Outputs, step: int) -> Tensor:
    """Return what a stage looks at, [T, 15 or 28, H / step, W / step]."""
    if not outputs.stages:
        first, last = _resized(pictures, 1 / step).expand(len(times), -1, -1, -1, -1).unbind(1)
        return _beside(first, last, times)
    flow = outputs.flow(step)
    first = carried(pictures[:1], flow[:, :2], step)
    last = carried(pictures[1:], flow[:, 2:], step)
    seen = _beside(first, last, times, outputs.latest(step), flow / step)
    return seen if step == 1 else _resized(seen, 1 / 2)


def _beside(first: Tensor, last: Tensor, times: Tensor, *more: Tensor) -> Tensor:
    """Lay out both pictures, both pictures' features, the time, and more, in the network's
    order.
    """
    now = times.to(first).view(-1, 1, 1, 1).expand(-1, 1, *first.shape[2:])
    pictures, features = slice(0, PICTURE), slice(PICTURE, None)
    both = (first[:, pictures], last[:, pictures], first[:, features], last[:, features])
    return torch.cat((*both, now, *more), dim=1)
