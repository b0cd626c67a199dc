"""Scanning clips whose cuts, stills, fades and bars are known, because they were made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.cli import main
from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media.sheet import save_png
from vtg_cli.training import scan as scanning
from vtg_cli.training.hallucination import scores
from vtg_cli.training.scan import Limits, scan
from vtg_cli.training.scenes import render_clip
from vtg_cli.training.shots import look_through
from vtg_cli.training.source import entries_of_manifest

Clip = NDArray[np.uint8]
LIMITS = Limits(frames=8)


def moving(seed: int, frames: int = 12) -> Clip:
    """A texture that goes by, 2 pixels a frame."""
    wide = render_clip(seed, 1, (64, 96 + 2 * frames), "leaves")[0]
    return np.stack([wide[:, 2 * i : 2 * i + 96] for i in range(frames)])


def write(folder: Path, name: str, clip: Clip) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    for i, frame in enumerate(clip):
        save_png(place / f"{i:04}.png", np.ascontiguousarray(frame))
    return place


def rows_of(folder: Path, limits: Limits = LIMITS) -> list[dict[str, object]]:
    return list(scan([str(folder)], limits).rows)


def test_a_cut_parts_a_clip_where_it_is(tmp_path: Path) -> None:
    place = write(tmp_path, "cut", np.concatenate([moving(1), moving(2, 10)]))
    rows = rows_of(place)
    assert [(row["first"], row["frames"], row["kept"]) for row in rows] == [
        (0, 12, True),
        (12, 10, True),
    ]
    assert [shot.first for shot in look_through(place, "content").shots] == [0, 12]


def test_fades_are_left_out_of_their_shots(tmp_path: Path) -> None:
    gain = np.concatenate(
        [np.ones(10), np.linspace(1, 0, 7)[1:], np.zeros(3), np.linspace(0, 1, 7)[1:]]
    )
    clip = moving(3, 45)
    gain = np.concatenate([gain, np.ones(45 - len(gain))])
    faded = (clip * gain[:, None, None, None]).astype(np.uint8)
    rows = rows_of(write(tmp_path, "fade", faded))
    assert len(rows) == 2
    (first, second) = rows
    assert first["first"] == 0 and 9 <= int(str(first["frames"])) <= 11
    assert 23 <= int(str(second["first"])) <= 26
    assert int(str(second["first"])) + int(str(second["frames"])) == 45


def test_a_shot_that_darkens_as_it_moves_is_no_fade(tmp_path: Path) -> None:
    """Levels fall by 1.4 % a frame before the fade falls by 10 %."""
    falls = np.concatenate([np.linspace(0.9, 0.6, 20), np.linspace(0.6, 0, 7)[1:], np.zeros(3)])
    clip = (np.full((len(falls), 64, 96, 3), 105.0) * falls[:, None, None, None]).astype(np.uint8)
    (shot,) = look_through(write(tmp_path, "dark", clip)).shots
    assert shot.first == 0 and 19 <= shot.frames <= 21


def test_motion_is_in_percent_of_the_longer_side(tmp_path: Path) -> None:
    (row,) = rows_of(write(tmp_path, "moving", moving(4)))
    assert row["motion"] == pytest.approx(100 * 2 / 96, rel=0.3)
    assert row["kept"] and row["orientation"] == "landscape" and row["width"] == 96


def test_stills_bars_and_short_clips_are_out_and_say_why(tmp_path: Path) -> None:
    write(tmp_path, "still", np.repeat(moving(5, 1), 12, 0))
    barred = moving(6)
    barred[:, :8] = barred[:, -8:] = 0
    write(tmp_path, "barred", barred)
    write(tmp_path, "short", moving(7, 5))
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    write(tmp_path, "black", np.zeros((12, 64, 96, 3), np.uint8))
    write(tmp_path, "good", moving(8))
    write(tmp_path, "twin", moving(8))
    found = {Path(str(row["path"])).name: row for row in rows_of(tmp_path)}
    reasons = {name: [why.split(":")[0] for why in row["why"]] for name, row in found.items()}  # type: ignore[attr-defined]
    assert reasons == {
        "still": ["still"],
        "barred": ["letterbox"],
        "short": ["short"],
        "broken.mp4": ["cannot be read"],
        "black": ["empty"],
        "good": [],
        "twin": ["duplicate"],
    }
    assert found["barred"]["letterbox"] == [0.125, 0.125, 0.0, 0.0]


def test_a_scan_from_the_terminal_feeds_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "clips", "a", np.concatenate([moving(1), moving(2)]))
    (tmp_path / "clips" / "a.txt").write_text("leaves")
    (tmp_path / "clips" / "b.mp4").write_bytes(b"nothing")
    manifest = tmp_path / "manifest.jsonl"
    command = ["data", "scan", str(tmp_path / "clips"), "-o", str(manifest), "--min-frames", "8"]
    pictures = ["--sheet", str(tmp_path / "sheet.png")]
    assert main([*command, *pictures]) == 0
    shown = capfd.readouterr()
    assert shown.out.splitlines() == [
        f"{manifest}: 2 of 3 shots are kept",
        "     1 cannot be read",
    ]
    assert "b.mp4" in shown.err and (tmp_path / "sheet.png").is_file()
    entries = entries_of_manifest(manifest)
    assert [(e.first, e.count, e.caption) for e in entries] == [
        (0, 12, "leaves"),
        (12, 12, "leaves"),
    ]
    assert main(command) == 2
    assert "exists" in capfd.readouterr().err
    assert main([*command, "--overwrite", "--min-frames", "20", "--json"]) == 7
    assert "no shot is kept: short (2), cannot be read (1)" in capfd.readouterr().err
    assert all(not json.loads(line)["kept"] for line in manifest.read_text().splitlines())


def test_histograms_are_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(tmp_path, "a", moving(1))
    found = scan([str(tmp_path)], LIMITS)
    scanning.write_histograms(found, tmp_path / "histograms.png")
    assert (tmp_path / "histograms.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_look_through_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no clip in"):
        scan([str(tmp_path)], LIMITS)


def test_hallucinated_objects_are_seen_in_no_frame(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    lines = [
        {"objects": {"fox": [True, False], "dog": [False, False], "tree": [True, True]}},
        {"objects": {"car": [False, True]}},
        {"objects": {"sun": [False], "sea": [False], "sky": [True], "hut": [True]}},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    got = scores(file)
    assert (got.dsg_i, got.dsg_s, got.objects, got.captions) == (3 / 8, 2 / 3, 8, 3)
    file.write_text('{"objects": {"fox": [1]}}')
    with pytest.raises(MediaError, match="fox has no list of true and false"):
        scores(file)
    assert main(["data", "dsg", str(file)]) == 7
