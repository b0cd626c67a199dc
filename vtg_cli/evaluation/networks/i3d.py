"""I3D (Carreira and Zisserman 2017) with the weights TATS, VideoGPT, Seer and content-debiased FVD
use: i3d_pretrained_400.pt, in the names of that PyTorch port.

An Inception v1 in time and space, padded as TensorFlow's "same": as much as the stride needs, the
odd pixel at the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool3d, max_pool3d, pad, relu

DIM = 400  # logits, a class of Kinetics each
FEWEST = 9  # frames: after three halvings two are averaged
Sizes = tuple[int, int, int]


def _same(x: Tensor, kernel: Sizes, stride: Sizes) -> Tensor:
    """Pad [B, C, T, H, W] with zeros so that ceil(size / stride) places come out."""
    borders: list[int] = []
    for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        whole = max(k - (size % s or s), 0)
        borders += [whole // 2, whole - whole // 2]
    return pad(x, borders)


class Unit(nn.Module):
    """A "same" convolution, batch norm and ReLU; the last one of the network has a bias alone."""

    def __init__(
        self, into: int, out: int, kernel: Sizes, stride: Sizes = (1, 1, 1), *, last: bool = False
    ) -> None:
        super().__init__()
        self._kernel, self._stride, self._last = kernel, stride, last
        self.conv3d = nn.Conv3d(into, out, kernel, stride, bias=last)
        if not last:
            self.bn = nn.BatchNorm3d(out, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3d(_same(x, self._kernel, self._stride))
        return x if self._last else relu(self.bn(x))


def _pooled(x: Tensor, kernel: Sizes, stride: Sizes) -> Tensor:
    return max_pool3d(_same(x, kernel, stride), kernel, stride)


class Mixed(nn.Module):
    """Four branches side by side. out: channels of 1x1, 1x1 to 3x3, 1x1 to 3x3, pool to 1x1."""

    def __init__(self, into: int, out: Sequence[int]) -> None:
        super().__init__()
        one, three = (1, 1, 1), (3, 3, 3)
        self.b0 = Unit(into, out[0], one)
        self.b1a = Unit(into, out[1], one)
        self.b1b = Unit(out[1], out[2], three)
        self.b2a = Unit(into, out[3], one)
        self.b2b = Unit(out[3], out[4], three)
        self.b3b = Unit(into, out[5], one)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.b3b(_pooled(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), pooled], 1)


MIXED = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}


class I3d(nn.Module):
    """Clips [B, 3, T, 224, 224] in [-1, 1], T >= 9, to the mean logits over time, [B, 400]."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(3, 64, (7, 7, 7), (2, 2, 2))
        self.Conv3d_2b_1x1 = Unit(64, 64, (1, 1, 1))
        self.Conv3d_2c_3x3 = Unit(64, 192, (3, 3, 3))
        for name, (into, out) in MIXED.items():
            self.add_module(f"Mixed_{name}", Mixed(into, out))
        self.logits = Unit(1024, DIM, (1, 1, 1), last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits [B, 400]."""
        x = _pooled(self.Conv3d_1a_7x7(x), (1, 3, 3), (1, 2, 2))
        x = _pooled(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        x = _pooled(self._mixed(x, "3"), (3, 3, 3), (2, 2, 2))
        x = _pooled(self._mixed(x, "4"), (2, 2, 2), (2, 2, 2))
        x = avg_pool3d(self._mixed(x, "5"), (2, 7, 7), stride=1)
        logits: Tensor = self.logits(x)
        return logits.squeeze(4).squeeze(3).mean(2)

    def _mixed(self, x: Tensor, level: str) -> Tensor:
        for name in MIXED:
            if name.startswith(level):
                x = self.get_submodule(f"Mixed_{name}")(x)
        return x
