"""Clips for training: which ones, in which order, which frames of them."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media.sheet import save_png
from vtg_cli.training.source import Files, Rendered, Window, caption_beside, open_source

WINDOW = Window(frames=3, stride=2, size=(16, 16))


def pictures(folder: Path, count: int, offset: int = 0) -> Path:
    """A clip as a folder of pictures; frame i is grey with value offset + i."""
    folder.mkdir(parents=True)
    for i in range(count):
        save_png(folder / f"{i:03}.png", np.full((16, 16, 3), offset + i, np.uint8))
    return folder


def clips(folder: Path, count: int = 3, frames: int = 7) -> Path:
    for n in range(count):
        pictures(folder / f"clip{n}", frames, 50 * n)
    return folder


def test_a_window_is_every_other_frame_from_anywhere(tmp_path: Path) -> None:
    source = open_source(str(clips(tmp_path)), WINDOW, seed=0, note=print)
    starts = set()
    for i in range(40):
        taken = source.take(i)
        values = taken.frames[:, 0, 0, 0].astype(int)
        assert values[1] - values[0] == values[2] - values[1] == 2
        assert values[0] % 50 == taken.first
        starts.add(taken.first)
    assert starts == {0, 1, 2}  # 7 frames hold windows of 5 at three places


def test_every_epoch_shows_every_clip_once_in_another_order(tmp_path: Path) -> None:
    source = open_source(str(clips(tmp_path)), WINDOW, seed=3, note=print)
    names = [source.take(i).name for i in range(30)]
    epochs = [names[i : i + 3] for i in range(0, 30, 3)]
    assert all(len(set(epoch)) == 3 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    again = open_source(str(tmp_path), WINDOW, seed=3, note=print)
    assert [again.take(i).name for i in range(30)] == names


def test_short_and_broken_clips_are_named_and_counted(tmp_path: Path) -> None:
    clips(tmp_path)
    pictures(tmp_path / "short", 3)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    notes: list[str] = []
    source = open_source(str(tmp_path), WINDOW, seed=0, note=notes.append)
    assert len(source) == 3
    assert any("broken.mp4" in note for note in notes)
    assert f"{tmp_path / 'short'} has 3 frames of 5 that are wanted" in notes
    assert "1 of 5 clips cannot be read and are left out" in notes
    assert "1 of 4 clips are too short and left out" in notes


def test_a_clip_that_breaks_later_is_passed_over_and_told_once(tmp_path: Path) -> None:
    notes: list[str] = []
    source = open_source(str(clips(tmp_path)), WINDOW, seed=0, note=notes.append)
    for file in (tmp_path / "clip1").iterdir():
        file.write_bytes(b"spoilt")
    names = [source.take(i).name for i in range(12)]
    assert {Path(name).name for name in names} == {"clip0", "clip2"}
    assert len(notes) == 1 and "clip1" in notes[0]
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"spoilt")
    with pytest.raises(MediaError, match="no clip can be read any more"):
        source.take(0)


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder of clips"):
        open_source(str(tmp_path / "nowhere"), WINDOW, seed=0, note=print)
    with pytest.raises(MediaError, match="there is no clip"):
        open_source(str(tmp_path), WINDOW, seed=0, note=print)
    pictures(tmp_path / "short", 4)
    with pytest.raises(MediaError, match="holds no clip of 5 frames"):
        open_source(str(tmp_path), WINDOW, seed=0, note=lambda _: None)


def test_a_manifest_says_which_part_of_a_clip(tmp_path: Path) -> None:
    clips(tmp_path, 1, 9)
    manifest = tmp_path / "manifest.jsonl"
    rows = [
        {"path": "clip0", "frames": 5, "first": 3, "caption": "grey", "kept": True},
        {"path": "clip0", "frames": 5, "first": 0, "kept": False},
    ]
    manifest.write_text("\n".join(json.dumps(row) for row in rows))
    source = open_source(str(manifest), WINDOW, seed=0, note=print)
    taken = source.take(0)
    assert taken.first == 3 and taken.caption == "grey"
    assert taken.frames[:, 0, 0, 0].tolist() == [3, 5, 7]
    manifest.write_text("{}")
    with pytest.raises(MediaError, match="is no manifest"):
        open_source(str(manifest), WINDOW, seed=0, note=print)


def test_captions_lie_beside_a_clip(tmp_path: Path) -> None:
    assert caption_beside(tmp_path / "a.mp4") == ""
    (tmp_path / "a.json").write_text('{"caption": "a fox"}')
    assert caption_beside(tmp_path / "a.mp4") == "a fox"
    (tmp_path / "a.txt").write_text("a dog\n")
    assert caption_beside(tmp_path / "a.mp4") == "a dog"


def test_held_out_clips_are_never_trained_on(tmp_path: Path) -> None:
    source = open_source(str(clips(tmp_path, 5)), WINDOW, seed=0, note=print)
    assert isinstance(source, Files) and len(source) == 4
    trained = {source.take(i).name for i in range(20)}
    assert source.held(0).name not in trained


def test_rendered_clips_follow_from_the_seed() -> None:
    one, two = (open_source("procedural:4", WINDOW, seed=s, note=print) for s in (1, 2))
    again = Rendered(4, WINDOW, seed=1)
    assert isinstance(one, Rendered) and len(one) == 4
    assert np.array_equal(one.take(6).frames, again.take(6).frames)
    assert len({one.take(i).name for i in range(8)}) == 4
    assert not {one.take(i).name for i in range(8)} & {two.take(i).name for i in range(8)}
    assert one.identity() == again.identity() != two.identity()
    with pytest.raises(UsageError, match="names no number of clips"):
        open_source("procedural:none", WINDOW, seed=0, note=print)


def test_a_video_file_is_read(tmp_path: Path) -> None:
    frames = np.repeat(np.arange(0, 240, 20, dtype=np.uint8), 32 * 32 * 3).reshape(12, 32, 32, 3)
    iio.imwrite(tmp_path / "a.mp4", frames, plugin="pyav", codec="libx264", fps=12)
    source = open_source(str(tmp_path), WINDOW, seed=0, note=print)
    taken = source.take(1)
    assert taken.frames.shape == (3, 16, 16, 3)
    assert (
        np.abs(
            taken.frames[:, 8, 8, 0].astype(int) - 20 * (taken.first + np.array([0, 2, 4]))
        ).max()
        < 6
    )
