"""The trunks of LPIPS: torchvision's AlexNet and VGG-16, whose published files are read as they
are, up to the layers LPIPS compares.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of LPIPS 0.1, on [-1, 1]


class Trunk(nn.Module):
    """Layers under torchvision's name `features`; `taps`: those, after a ReLU, that are compared.

    widths: channels of the taps
    """

    def __init__(
        self, layers: Sequence[nn.Module], taps: Sequence[int], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.taps, self.widths = tuple(taps), tuple(widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the five tapped maps [B, C, h, w] of pictures [B, 3, H, W] in [-1, 1]."""
        shift, scale = (x.new_tensor(each)[:, None, None] for each in (SHIFT, SCALE))
        x, found = (x - shift) / scale, []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.taps:
                found.append(x)
        return found


def alexnet() -> Trunk:
    """Build AlexNet's features up to its fifth ReLU."""
    layers = [
        *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]
    return Trunk(layers, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256))


def vgg16() -> Trunk:
    """Build VGG-16's features up to the last ReLU before its fifth pooling."""
    layers: list[nn.Module] = []
    into, taps = 3, []
    widths, depths = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3)
    for width, depth in zip(widths, depths, strict=True):
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(depth):
            layers += [nn.Conv2d(into, width, 3, padding=1), nn.ReLU()]
            into = width
        taps.append(len(layers) - 1)
    return Trunk(layers, taps, widths)
