"""Keyframes: the task. Which frames are known, and where."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Keyframes:
    """The keyframes of a clip and what is known of its frames.

    pixels: [K, 3, H, W] float in [-1, 1]
    positions: K increasing indices in [0, length)
    length: frames in all
    text: the caption's embeddings [1, L, D] or, one caption for every frame, [F, L, D]
    image: what each frame is shown in place of a keyframe, tokens [F, M, D]

    Raises ValueError if these do not fit together.
    """

    pixels: Tensor
    positions: tuple[int, ...]
    length: int
    text: Tensor | None = None
    image: Tensor | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[1] != 3:
            raise ValueError(f"pixels must be [K, 3, H, W], not {list(self.pixels.shape)}")
        if len(self.positions) != len(self.pixels):
            raise ValueError(f"{len(self.pixels)} keyframes but {len(self.positions)} positions")
        if list(self.positions) != sorted(set(self.positions)):
            raise ValueError(f"positions must increase: {self.positions}")
        if self.positions and not 0 <= self.positions[0] <= self.positions[-1] < self.length:
            raise ValueError(f"positions {self.positions} do not lie in 0..{self.length - 1}")
        if self.text is not None and len(self.text) not in (1, self.length):
            raise ValueError(f"text for {len(self.text)} frames of {self.length}")
        if self.image is not None and len(self.image) != self.length:
            raise ValueError(f"image tokens for {len(self.image)} frames of {self.length}")

    @staticmethod
    def ends(first: Tensor, last: Tensor, length: int) -> Keyframes:
        """Return the in-betweening task: pictures [3, H, W] at both ends of `length` frames."""
        return Keyframes(torch.stack([first, last]), (0, length - 1), length)

    def only(self, *positions: int) -> Keyframes:
        """Return the keyframes at these positions. Raise ValueError if there is none."""
        rows = [self.positions.index(p) for p in positions]
        return replace(self, pixels=self.pixels[rows], positions=positions)

    def alone(self, position: int) -> Keyframes:
        """Return the keyframe there as a clip of one frame, with that frame's text and image."""
        one = self.only(position)
        text = one.text if one.text is None or len(one.text) == 1 else one.text[position][None]
        image = None if one.image is None else one.image[position][None]
        return Keyframes(one.pixels, (0,), 1, text, image)

    def reversed(self) -> Keyframes:
        """Return the same task with time running backwards."""
        positions = tuple(self.length - 1 - p for p in reversed(self.positions))
        text = None if self.text is None else self.text.flip(0)
        image = None if self.image is None else self.image.flip(0)
        return Keyframes(self.pixels.flip(0), positions, self.length, text, image)
