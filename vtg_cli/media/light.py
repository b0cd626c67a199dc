"""Colours by the code points of ITU-T H.273 (PNG's cICP, the nclx of AVIF and HEIF) as 8-bit sRGB.

Code values become light by the transfer function, 1.0 being white: for PQ and HLG the reference
white of BT.2408, 203 cd/m2, on a display of 1000 cd/m2. Light is brought to sRGB's primaries, and
what lies outside of 0 to 1 is clipped. BT.709's curve and its relatives count as sRGB's, as they do
for clips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.float32]
"""[..., 3]: red, green, blue."""

WHITE = 203.0  # cd/m2, of the paper in an HDR picture (BT.2408)
PEAK = 1000.0  # cd/m2, of the display that HLG is shown on (BT.2100)

PQ, HLG = 16, 18
_UNSPECIFIED = 2
_LIKE_SRGB = (1, 6, 13, 14, 15)  # BT.709, BT.601, sRGB, BT.2020 in 10 and 12 bits
_GAMMAS = {4: 2.2, 5: 2.8}
_LINEAR = 8

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
"""x and y of red, green, blue and white."""

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class CodePoints:
    """Colour primaries and transfer characteristics by H.273's numbers."""

    primaries: int
    transfer: int

    @property
    def plain(self) -> bool:
        """Return whether code values are sRGB's as they stand."""
        srgb = self.primaries in (1, _UNSPECIFIED)
        return srgb and self.transfer in (*_LIKE_SRGB, _UNSPECIFIED)

    @property
    def known(self) -> bool:
        """Return whether `to_srgb` can convert them."""
        curves = (*_LIKE_SRGB, *_GAMMAS, _LINEAR, PQ, HLG, _UNSPECIFIED)
        return self.primaries in (*_PRIMARIES, _UNSPECIFIED) and self.transfer in curves

    @property
    def steep(self) -> bool:
        """Return whether 8 bits are too few for its curve."""
        return self.transfer in (PQ, HLG, _LINEAR)

    @property
    def note(self) -> str:
        """A note for the user about the conversion; "" if there is none."""
        if not self.known:
            return (
                f"colour code points {self.primaries}/{self.transfer} of H.273 are not known here: "
                "taken as sRGB"
            )
        if self.transfer not in (PQ, HLG):
            return ""
        curve = "PQ" if self.transfer == PQ else "HLG"
        return f"HDR ({curve}) is brought to sRGB: light above {WHITE:.0f} cd/m2 is clipped"


def to_srgb(codes: NDArray[np.uint8] | NDArray[np.uint16], points: CodePoints) -> NDArray[np.uint8]:
    """Convert code values [H, W, 3] of full range and known code points to sRGB uint8 [H, W, 3]."""
    highest = np.iinfo(codes.dtype).max
    curve = _curve(np.arange(highest + 1) / highest, points.transfer).astype(np.float32)
    light = curve[codes]
    primaries = 1 if points.primaries == _UNSPECIFIED else points.primaries
    if points.transfer == HLG:  # the scene's light as a display shows it
        luma = light @ _to_xyz(primaries)[1].astype(np.float32)
        light *= (PEAK / WHITE * luma ** np.float32(0.2))[..., None]
    return encoded(light @ _to_linear_srgb(primaries).T)


def encoded(light: Colours) -> NDArray[np.uint8]:
    """Convert linear light in sRGB's primaries, clipped to 0 to 1, to sRGB uint8."""
    light = light.clip(0, 1)
    bent = 1.055 * light ** np.float32(1 / 2.4) - 0.055
    codes: NDArray[np.uint8] = np.rint(
        255 * np.where(light <= 0.0031308, 12.92 * light, bent)
    ).astype(np.uint8)
    return codes


def _curve(codes: NDArray[np.float64], transfer: int) -> NDArray[np.float64]:
    """Return the light of codes in [0, 1]: of the display, white 1; for HLG, of the scene."""
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
        root = codes ** (1 / m2)
        share: NDArray[np.float64] = np.maximum(root - c1, 0) / (c2 - c3 * root)
        return share ** (1 / m1) * (10000 / WHITE)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    if transfer == _LINEAR:
        return codes
    if transfer in _GAMMAS:
        powered: NDArray[np.float64] = codes ** _GAMMAS[transfer]
        return powered
    return np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)


def _to_linear_srgb(primaries: int) -> Colours:
    """Return the matrix from light of these primaries to light of sRGB's, white kept white."""
    adapted = _adapted(_PRIMARIES[primaries][3], _D65)
    matrix: Colours = (np.linalg.inv(_to_xyz(1)) @ adapted @ _to_xyz(primaries)).astype(np.float32)
    return matrix


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """Return the matrix from RGB to XYZ, Y of white being 1."""
    *colours, white = (_xyz(place) for place in _PRIMARIES[primaries])
    columns = np.stack(colours, axis=1)
    matrix: NDArray[np.float64] = columns * np.linalg.solve(columns, white)
    return matrix


def _xyz(place: tuple[float, float]) -> NDArray[np.float64]:
    x, y = place
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapted(before: tuple[float, float], after: tuple[float, float]) -> NDArray[np.float64]:
    """Return the matrix from XYZ under one white to XYZ under another (Bradford)."""
    scale = (_BRADFORD @ _xyz(after)) / (_BRADFORD @ _xyz(before))
    matrix: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD)
    return matrix
