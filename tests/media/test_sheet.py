"""The contact sheet: which frames, where, how large, and what a pixel of it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vtg_cli.errors import MediaError
from vtg_cli.media.sheet import GAP, PAPER, contact_sheet, positions, save_png


def frames(count: int, height: int = 90, width: int = 160) -> NDArray[np.uint8]:
    """Frame i is the flat grey 2 i."""
    clip = np.empty((count, height, width, 3), np.uint8)
    clip[:] = 2 * np.arange(count)[:, None, None, None]
    return clip


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (1, [0]),
        (2, [0, 1]),
        (5, [0, 1, 2, 3, 4]),
        (24, list(range(24))),
        (47, list(range(0, 47, 2))),
        (93, list(range(0, 93, 4))),
    ],
)
def test_positions(total: int, expected: list[int]) -> None:
    assert positions(total) == expected


def test_positions_hold_the_first_and_the_last_and_are_even() -> None:
    for total in range(2, 200):
        found = positions(total)
        assert len(found) == len(set(found)) == min(total, 24)
        assert (found[0], found[-1]) == (0, total - 1)
        steps = np.diff(found)
        assert steps.max() - steps.min() <= 1


def test_frames_lie_row_by_row_with_a_thin_gap() -> None:
    sheet = contact_sheet(frames(7), columns=3)
    assert sheet.shape == (3 * 90 + 2 * GAP, 3 * 160 + 2 * GAP, 3)
    for i in range(7):
        top, left = i // 3 * (90 + GAP), i % 3 * (160 + GAP)
        assert (sheet[top : top + 90, left : left + 160] == 2 * i).all()
    assert (sheet[:, 160 : 160 + GAP] == PAPER).all()
    assert (sheet[90 : 90 + GAP] == PAPER).all()
    assert (sheet[2 * (90 + GAP) :, 160:] == PAPER).all()  # the two empty places


def test_a_long_clip_is_sampled_to_24() -> None:
    sheet = contact_sheet(frames(100, 9, 16), columns=6)
    assert sheet.shape == (4 * 9 + 3 * GAP, 6 * 16 + 5 * GAP, 3)
    assert (sheet[0, 0] == 0).all()
    assert (sheet[-1, -1] == 2 * 99).all()


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1280, 720), (512, 512), (101, 777)])
@pytest.mark.parametrize("count", [1, 2, 9, 16, 17, 24])
def test_a_sheet_keeps_its_width_and_the_frames_aspect(height: int, width: int, count: int) -> None:
    sheet = contact_sheet(np.zeros((count, height, width, 3), np.uint8), width=1600)
    assert sheet.shape[1] <= 1600
    across = np.flatnonzero(np.append(sheet[0, :, 0], PAPER))[0]  # frames are black, gaps are not
    down = np.flatnonzero(np.append(sheet[:, 0, 0], PAPER))[0]
    columns, rows = (sheet.shape[1] + GAP) / (across + GAP), (sheet.shape[0] + GAP) / (down + GAP)
    assert columns == int(columns) and rows == int(rows) and columns * rows >= count
    assert abs(down - height * across / width) <= 0.5
    assert columns * rows - count <= count / 3  # few empty places


def test_frames_are_averaged_when_made_smaller() -> None:
    """A one-pixel chequerboard of black and white becomes its mean, not one of the two."""
    board = np.indices((300, 400)).sum(0) % 2 * 255
    frame = np.repeat(board[..., None], 3, -1).astype(np.uint8)
    sheet = contact_sheet([frame, frame], columns=2, width=204)
    inner = sheet[5:-5, 5:95].astype(int)
    assert np.abs(inner - 127.5).max() <= 2.5


def test_save_png_is_whole_or_absent(tmp_path: Path) -> None:
    sheet = contact_sheet(frames(4), columns=2)
    save_png(tmp_path / "new" / "sheet.png", sheet)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "sheet.png")), sheet)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MediaError, match=r"cannot write .*file/sheet\.png: "):
        save_png(tmp_path / "file" / "sheet.png", sheet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sheet.png"]
