from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vtg_cli.conditioning.keyframes import Keyframes

PICTURES = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 3, 2, 2)


def test_only_and_reversed() -> None:
    keys = Keyframes(PICTURES, (0, 2, 6), 7)
    back = keys.reversed()
    assert back.positions == (0, 4, 6)
    assert back.pixels[:, 0, 0, 0].tolist() == [2, 1, 0]
    assert back.reversed().positions == keys.positions
    one = keys.only(2)
    assert one.positions == (2,) and one.length == 7
    assert one.pixels[:, 0, 0, 0].tolist() == [1]


def test_what_is_said_of_frames_goes_with_them() -> None:
    text = torch.arange(7.0).view(7, 1, 1)
    keys = Keyframes(PICTURES, (0, 2, 6), 7, text)
    assert keys.only(0).text is text
    back = keys.reversed().text
    assert back is not None and back.flatten().tolist() == [6, 5, 4, 3, 2, 1, 0]
    alone = keys.alone(2)
    assert (alone.positions, alone.length) == ((0,), 1)
    assert alone.text is not None and alone.text.flatten().tolist() == [2]
    assert alone.pixels[:, 0, 0, 0].tolist() == [1]
    shared = Keyframes(PICTURES, (0, 2, 6), 7, text[:1])
    assert shared.alone(6).text is shared.text
    with pytest.raises(ValueError, match="text for 3 frames of 7"):
        Keyframes(PICTURES, (0, 2, 6), 7, text[:3])


@pytest.mark.parametrize(
    ("pixels", "positions", "length", "message"),
    [
        (PICTURES[:, :2], (0, 1, 2), 3, "3, H, W"),
        (PICTURES, (0, 1), 3, "3 keyframes but 2 positions"),
        (PICTURES, (0, 2, 1), 3, "must increase"),
        (PICTURES, (0, 1, 1), 3, "must increase"),
        (PICTURES, (0, 1, 3), 3, "do not lie in 0..2"),
    ],
)
def test_what_does_not_fit_is_refused(
    pixels: torch.Tensor, positions: tuple[int, ...], length: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Keyframes(pixels, positions, length)


def test_what_frames_are_shown_goes_with_them() -> None:
    shown = torch.arange(4.0)[:, None, None]
    keys = replace(Keyframes.ends(torch.zeros(3, 2, 2), torch.ones(3, 2, 2), 4), image=shown)
    turned = keys.reversed().image
    assert turned is not None and turned.flatten().tolist() == [3, 2, 1, 0]
    alone = keys.alone(3).image
    assert alone is not None and alone.flatten().tolist() == [3]
    assert keys.only(0).image is shown
    with pytest.raises(ValueError, match="image tokens for 4 frames of 3"):
        replace(keys, length=3, positions=(0, 2))
