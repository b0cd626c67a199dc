"""A timeline file becomes a job; what is wrong in it is told with its line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.job.jobs import Interpolate, Timeline
from vtg_cli.job.sampling import Sampling
from vtg_cli.job.timeline.document import job_in, read
from vtg_cli.media.encoding import Encoding

THREE = """\
fps = "24000/1001"
width = 64
output = "o.mp4"
crf = 20

[defaults]
model = "tiny"
seed = 7
guidance = 2

[[keyframe]]
picture = "a.png"

[[segment]]
strength = 0.5
prompt = ["a lion", "a truck"]

[[keyframe]]
picture = "b.png"
at = "1.5s"

[[segment]]
model = "flow"
duration = 1.5
ease = "ease-in"

[[keyframe]]
picture = "/c.png"
"""


def test_the_job_of_a_file() -> None:
    shared = {"fps": Fraction(24000, 1001), "width": 64}
    assert job_in(THREE, "x/t.toml") == Timeline(
        segments=(
            Interpolate(
                keyframes=("x/a.png", "x/b.png"),
                frames=(37,),
                model="tiny",
                prompts=("a lion", "a truck"),
                sampling=Sampling(seed=7, guidance=(2.0, 2.0), strength=0.5),
                **shared,  # type: ignore[arg-type]
            ),
            # flow has no use for the guidance of the defaults; the seed is harmless
            Interpolate(
                keyframes=("x/b.png", "/c.png"),
                frames=(37,),
                model="flow",
                ease="ease-in",
                sampling=Sampling(seed=7),
                **shared,  # type: ignore[arg-type]
            ),
        ),
        output="x/o.mp4",
        encoding=Encoding(crf=20),
    )


def two(head: str = "", first: str = "", last: str = "at = 1", segment: str = "") -> str:
    text = f'{head}\n[[keyframe]]\npicture = "a"\n{first}\n[[keyframe]]\npicture = "b"\n{last}\n'
    return text + (f"[[segment]]\n{segment}\n" if segment else "")


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        (two(), 25),
        (two(last='at = "12f"'), 13),
        (two("fps = 10", last='at = "12f"'), 13),
        (two(last="", segment="duration = 0.5"), 13),
        (two(last="", segment='duration = "12f"'), 13),
        (two(segment="duration = 1.0"), 25),
        (two("fps = 29.97", last="at = 100"), 2998),
        (two("fps = 1e1"), 11),
    ],
)
def test_times(text: str, frames: int) -> None:
    assert job_in(text, "t.toml").segments[0].frames == (frames,)


def test_the_model_of_who_names_none() -> None:
    assert job_in(two(), "t.toml", "flow").segments[0].model == "flow"
    assert job_in(two(segment='model = "tiny"'), "t.toml", "flow").segments[0].model == "tiny"
    assert job_in(two(), "t.toml").segments[0].model == "auto"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fps = \n", "t.toml:1: Invalid value"),
        ("a = 1\na = 2", "t.toml:2: Cannot overwrite a value"),
        ('a = "', "t.toml:1: "),
        ("a = " + "[" * 3000, "t.toml:1: "),
        ("fps = 0x" + "f" * 5000, "t.toml:1: a number is too long"),
        ("fps = 1e" + "9" * 20, "t.toml:1: a number is too long"),
        ("", "t.toml:1: there is no keyframe"),
        (two("fps = 0"), "t.toml:1: fps should be a number from 0.001 to 1000"),
        (two('fps = "1/0"'), "t.toml:1: --fps 1/0 is not a frame rate above 0"),
        (two("fsp = 3"), "t.toml:1: fsp is no key"),
        (two('"a\\nb" = 3'), "t.toml:1: 'a\\nb' is no key"),
        (two('fps = "a\\nb"'), "t.toml:1: fps should be a number"),
        (two(first="at = 1"), "t.toml:4: the first keyframe is at 1 s, and a clip begins at 0"),
        (two(last="at = 0"), "t.toml:7: keyframe 2 is at 0 s, and the one before it at 0 s"),
        (two(last="at = 0.01"), "t.toml:7: keyframes 1 and 2, at 0 s and 0.01 s, fall on one"),
        (two(last='at = "1:2:3:4"'), "t.toml:7: 1:2:3:4 is not a time"),
        (two(last="at = nan"), "t.toml:7: at of keyframe 2 should be a number from 0 to 86400"),
        (two(last=""), "t.toml:5: keyframe 2 has no time"),
        (
            two(segment="duration = 2"),
            "t.toml:9: segment 1 ends at 2 s, and keyframe 2 is at 1 s",
        ),
        (two(last="", segment="duration = 0"), "t.toml:9: keyframe 2 is at 0 s, and the one"),
        (two(segment="seed = 1\n[[segment]]"), "t.toml:10: 2 segment(s) between 2 keyframes"),
        (two(segment='ease = "fast"'), "t.toml:9: segment 1: --ease fast is not a curve"),
        (
            two('[defaults]\nease = "fast"'),
            "t.toml:2: segment 1: --ease fast is not a curve",
        ),
        (two('background = "blurple"'), "t.toml:1: segment 1: --background blurple is no colour"),
        (two('device = "gpu"'), "t.toml:1: segment 1: --device gpu is no device"),
        (
            two(segment='init = "slerp"\nstrength = 0.5'),
            "t.toml:10: segment 1: --strength 0.5 and --init slerp exclude each other",
        ),
        (two(last="at = 86400"), "t.toml:5: segment 1: --frames 2073601 is out of range"),
    ],
)
def test_errors_name_the_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        job_in(text, "t.toml")
    assert caught.value.message[: len(said)] == said
    assert "\n" not in caught.value.message


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="there is no file"):
        read(str(tmp_path / "none.toml"))
    with pytest.raises(MediaError, match="is a folder, not a timeline"):
        read(str(tmp_path))
    file = tmp_path / "t.toml"
    file.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        read(str(file))
    file.write_bytes(b"#" * 4_000_001)
    with pytest.raises(UsageError, match="is longer than 4 MB"):
        read(str(file))


def test_a_file_of_another_editor(tmp_path: Path) -> None:
    """With a byte order mark and carriage returns."""
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).touch()
    three = THREE.replace("/c.png", "c.png")
    file = tmp_path / "t.toml"
    file.write_bytes(b"\xef\xbb\xbf" + three.replace("\n", "\r\n").encode())
    assert read(str(file)) == job_in(three, str(file))
    file.write_bytes(three.replace("seed = 7", "seed = -7").replace("\n", "\r\n").encode())
    with pytest.raises(UsageError) as caught:
        read(str(file))
    assert caught.value.message.startswith(f"{file}:8: seed of defaults should be a whole number")
