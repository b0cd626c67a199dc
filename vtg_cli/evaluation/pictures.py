"""How alike two pictures are: SSIM and HaarPSI (PSNR is `media.anchor.psnr`).

Both are means over the colour channels' or the picture's windows of code values 0 to 255, 1 for
equal pictures.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW, SIGMA = 11, 1.5  # of SSIM, pixels
SSIM_SIDE = 256  # pixels of the shorter side to which SSIM reduces larger pictures
CUT = WINDOW // 2  # pixels of a border where the window leaves the picture


def ssim(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Compute SSIM of pictures [H, W] or [H, W, C] (Wang et al. 2004), mean over channels.

    Larger pictures are reduced first by their shorter side / 256, rounded, as its authors advise;
    only windows inside the picture count, unless it is smaller than one.
    """
    x, y = (_reduced(np.atleast_3d(z).astype(np.float64)) for z in (a, b))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = _blurred(x), _blurred(y)
    vx, vy = _blurred(x * x) - mx * mx, _blurred(y * y) - my * my
    cov = _blurred(x * y) - mx * my
    similar = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    inside = similar[CUT:-CUT, CUT:-CUT] if min(similar.shape[:2]) > 2 * CUT else similar
    return float(inside.mean())


def _reduced(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average over squares of `factor` pixels; what does not fill one is left out."""
    factor = max(1, round(min(x.shape[:2]) / SSIM_SIDE))
    h, w = (size // factor for size in x.shape[:2])
    cells = x[: h * factor, : w * factor].reshape(h, factor, w, factor, -1)
    return np.asarray(cells.mean((1, 3)))


def _blurred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = np.asarray(cv2.GaussianBlur(x, (WINDOW, WINDOW), SIGMA))
    return out.reshape(x.shape)


_HAAR_C, _HAAR_ALPHA = 30.0, 4.2  # Reisenhofer et al. 2018, section 3
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def haarpsi(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Compute HaarPSI of pictures [H, W, 3] (Reisenhofer et al. 2018).

    Local similarity of Haar coefficients of two scales, weighted with those of a third, of the
    lightness in both axes, and of the two colour differences; a logistic curve in between.
    """
    x, y = (_halved(z.astype(np.float64) @ _YIQ.T) for z in (a, b))
    similar, weight = [], []
    for axis in (0, 1):
        first, second = ([_haar(z[..., 0], scale, axis) for scale in (1, 2, 3)] for z in (x, y))
        fine = [_similar(abs(first[i]), abs(second[i])) for i in (0, 1)]
        similar.append((fine[0] + fine[1]) / 2)
        weight.append(np.maximum(abs(first[2]), abs(second[2])))
    chroma = [_similar(abs(_mean2(x[..., c])), abs(_mean2(y[..., c]))) for c in (1, 2)]
    similar.append((chroma[0] + chroma[1]) / 2)
    weight.append((weight[0] + weight[1]) / 2)
    s, w = np.stack(similar), np.stack(weight)
    steep = 1 / (1 + np.exp(-_HAAR_ALPHA * s))
    total = float(w.sum())
    mean = float((steep * w).sum()) / total if total else float(steep.mean())
    return float((np.log(mean / (1 - mean)) / _HAAR_ALPHA) ** 2)


def _similar(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((2 * x * y + _HAAR_C) / (x * x + y * y + _HAAR_C))


def _mean2(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average squares of two pixels at every pixel, zeros beyond the border."""
    return _filtered(x, np.full((2, 2), 0.25))


def _halved(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([_mean2(x[..., c])[::2, ::2] for c in range(x.shape[-1])], axis=-1)


def _haar(x: NDArray[np.float64], scale: int, axis: int) -> NDArray[np.float64]:
    side = 2**scale
    kernel = np.full((side, side), 1 / side)
    kernel[side // 2 :] *= -1
    return _filtered(x, kernel if axis == 0 else kernel.T)


def _filtered(x: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve, same size, zeros beyond the border; of an even kernel the lower middle stays."""
    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    anchor = ((kernel.shape[1] - 1) // 2, (kernel.shape[0] - 1) // 2)
    out = cv2.filter2D(x, cv2.CV_64F, flipped, anchor=anchor, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(out)
