"""FID's Inception v3: TensorFlow's graph of 2015-12-05 in the layout pytorch-fid published it in
(pt_inception-2015-12-05-6726825d.pth: torchvision's names, 1008 classes).

It is torchvision's network but for three things: averages leave padding out, the last block pools
by maximum where the one before averages, and there is no second classifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

DIM = 2048
CLASSES = 1008
EPS = 1e-3  # of batch norms


class Conv(nn.Module):
    """A convolution without bias, batch norm and ReLU."""

    def __init__(
        self,
        into: int,
        out: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.bn(self.conv(x)))


def _wide(into: int, out: int, side: int) -> Conv:
    return Conv(into, out, (1, side), padding=(0, side // 2))


def _tall(into: int, out: int, side: int) -> Conv:
    return Conv(into, out, (side, 1), padding=(side // 2, 0))


def _average(x: Tensor) -> Tensor:
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _maximum(x: Tensor) -> Tensor:
    return max_pool2d(x, 3, stride=1, padding=1)


class BlockA(nn.Module):
    """35x35: 1x1, 5x5, two 3x3, pooling."""

    def __init__(self, into: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(into, 64, 1)
        self.branch5x5_1 = Conv(into, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(into, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(into, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(_average(x))], 1)


class BlockB(nn.Module):
    """35x35 to 17x17."""

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(into, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(into, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """17x17: 1x1, 7x7 as 1x7 and 7x1, twice that, pooling."""

    def __init__(self, into: int, middle: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(into, 192, 1)
        self.branch7x7_1 = Conv(into, middle, 1)
        self.branch7x7_2 = _wide(middle, middle, 7)
        self.branch7x7_3 = _tall(middle, 192, 7)
        self.branch7x7dbl_1 = Conv(into, middle, 1)
        self.branch7x7dbl_2 = _tall(middle, middle, 7)
        self.branch7x7dbl_3 = _wide(middle, middle, 7)
        self.branch7x7dbl_4 = _tall(middle, middle, 7)
        self.branch7x7dbl_5 = _wide(middle, 192, 7)
        self.branch_pool = Conv(into, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], 1)


class BlockD(nn.Module):
    """17x17 to 8x8."""

    def __init__(self, into: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(into, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(into, 192, 1)
        self.branch7x7x3_2 = _wide(192, 192, 7)
        self.branch7x7x3_3 = _tall(192, 192, 7)
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, self.branch7x7x3_4(seven), max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """8x8: 1x1, 3x3 as 1x3 beside 3x1, the same after a 3x3, pooling."""

    def __init__(self, into: int, *, maximum: bool) -> None:
        super().__init__()
        self.branch1x1 = Conv(into, 320, 1)
        self.branch3x3_1 = Conv(into, 384, 1)
        self.branch3x3_2a = _wide(384, 384, 3)
        self.branch3x3_2b = _tall(384, 384, 3)
        self.branch3x3dbl_1 = Conv(into, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _wide(384, 384, 3)
        self.branch3x3dbl_3b = _tall(384, 384, 3)
        self.branch_pool = Conv(into, 192, 1)
        self._pool = _maximum if maximum else _average

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([*parts, self.branch_pool(self._pool(x))], 1)


class FidInception(nn.Module):
    """The network up to its last average: pictures [B, 3, 299, 299] in [-1, 1] to [B, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, maximum=False)
        self.Mixed_7c = BlockE(2048, maximum=True)
        self.fc = nn.Linear(DIM, CLASSES)  # in the published file, not used

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features [B, 2048] of pictures [B, 3, H, W] in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))
