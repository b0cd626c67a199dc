"""Every output that can be refused without a pixel, each by its exact words; the table's facts."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vtg_cli.errors import MediaError, UsageError
from vtg_cli.media.beside import older_path, sidecar_path
from vtg_cli.media.encoding import Encoding, check, claim, format_of, notes
from vtg_cli.media.formats import FILES, FORMATS, STREAMS, arguments

KNOWN = "known: .mp4 .mov .mkv .webm .gif .webp .apng .png"


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("clip.mp4", "mp4"),
        ("CLIP.MP4", "mp4"),
        ("a/b.c/clip.mov", "mov"),
        ("clip.mkv", "mkv"),
        ("clip.webm", "webm"),
        ("clip.gif", "gif"),
        ("clip.webp", "webp"),
        ("clip.apng", "apng"),
        ("out/%04d.png", "png"),
        ("out/frame_%d.png", "png"),
        ("50% off.mp4", "mp4"),
    ],
)
def test_the_suffix_decides(output: str, name: str) -> None:
    assert format_of(output, Encoding()).name == name


def test_a_stream_is_named() -> None:
    assert sorted(STREAMS) == ["nut", "rawvideo", "y4m"]
    for name in STREAMS:
        assert format_of("-", Encoding(format=name)).name == name


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("clip.mp5", {}, "unknown suffix '.mp5' in the output clip.mp5", "did you mean .mp4? " + KNOWN),
    (
        "clip.wbem",
        {},
        "unknown suffix '.wbem' in the output clip.wbem",
        "did you mean .webm? " + KNOWN,
    ),
    ("clip.xyz", {}, "unknown suffix '.xyz' in the output clip.xyz", KNOWN),
    ("clip", {}, "no suffix in the output clip", KNOWN),
    (".mp4", {}, "no suffix in the output .mp4", KNOWN),
    ("", {}, "the output '' is a folder, not a file name", ""),
    ("out/", {}, "the output 'out/' is a folder, not a file name", ""),
    (
        ".",
        {},
        "the output '.' is a folder, not a file name",
        "name a file in it, such as clip.mp4 or %04d.png",
    ),
    ("-", {}, "a stream on stdout needs --format", "--format y4m | rawvideo | nut"),
    (
        "-",
        {"format": "y4n"},
        "unknown stream format 'y4n'",
        "did you mean y4m? --format y4m | rawvideo | nut",
    ),
    ("-", {"format": "mp4"}, "unknown stream format 'mp4'", ""),
    (
        "a.mp4",
        {"format": "nut"},
        "--format nut is for streams, and the suffix decides for a.mp4",
        "",
    ),
    (
        "a.png",
        {},
        "a .png output is a numbered sequence, but a.png needs one number field",
        "such as a_%04d.png; an animated one is .apng",
    ),
    (
        "o/%d_%d.png",
        {},
        "a .png output is a numbered sequence, but %d_%d.png needs one number field",
        "",
    ),
    (
        "%s%d.png",
        {},
        "a .png output is a numbered sequence, but %s%d.png needs one number field",
        "",
    ),
    (
        "%4d.png",
        {},
        "a .png output is a numbered sequence, but %4d.png needs one number field",
        "",
    ),
    (
        "%02d/%d.png",
        {},
        "the number pattern of %02d/%d.png must be in the file's name, not in its folder's",
        "",
    ),
    (
        "o/a%04d.mp4",
        {},
        "the number pattern in o/a%04d.mp4 is for .png only; mp4 is one file",
        "such as a.mp4",
    ),
    (
        "a.mp4",
        {"crf": 52},
        "--crf 52 is outside mp4's range of 0 to 51",
        "the default is 16; lower is better and larger",
    ),
    ("a.webm", {"crf": -1}, "--crf -1 is outside webm's range of 0 to 63", ""),
    ("a.mov", {"crf": 16}, "mov has no --crf", "only .mp4 and .webm have one"),
    ("a.mkv", {"crf": 0}, "mkv has no --crf", ""),
    ("%d.png", {"crf": 16}, "png has no --crf", ""),
    (
        "a.mp4",
        {"alpha": True},
        "mp4 cannot keep alpha",
        "these can: .mov .mkv .webm .gif .webp .apng .png rawvideo nut",
    ),
    ("-", {"format": "y4m", "alpha": True}, "y4m cannot keep alpha", ""),
    (
        "a.mp4",
        {"overwrite": True, "skip_existing": True},
        "--overwrite and --skip-existing exclude each other",
        "",
    ),
]


@pytest.mark.parametrize(("output", "choices", "message", "hint"), REFUSED)
def test_a_wrong_output_is_refused_by_name(
    output: str, choices: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(output, Encoding(**choices))
    assert caught.value.message == message
    assert caught.value.exit_code == 2
    if hint:
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("output", "height", "width", "fps", "message"),
    [
        ("a.mp4", 100, 16386, 24, "mp4 cannot hold 16386x100: a side has 1 to 16384 pixels"),
        ("a.webp", 16384, 100, 24, "webp cannot hold 100x16384: a side has 1 to 16383 pixels"),
        ("a.mov", 10, 1, 24, "mov cannot hold 1x10: a side has 2 to 65535 pixels"),
        ("a.gif", 10, 10, 51, "gif cannot play 51 frames a second; its limit is 50"),
    ],
)
def test_a_size_or_rate_beyond_the_format_is_refused(
    output: str, height: int, width: int, fps: int, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check(output, Encoding(), height, width, Fraction(fps))
    assert caught.value.message == message


def test_the_limits_themselves_are_allowed() -> None:
    check("a.mp4", Encoding(crf=0), 16384, 16384, Fraction(1000))
    check("a.mp4", Encoding(crf=51), 1, 1)
    check("a.gif", Encoding(), 2, 2, Fraction(50))
    check("a.mov", Encoding(alpha=True, overwrite=True), 2, 2)


@pytest.mark.parametrize(
    ("output", "sidecar"),
    [
        ("clip.mp4", "clip.mp4.json"),
        ("a/b/clip.tar.webm", "a/b/clip.tar.webm.json"),
        ("out/%04d.png", "out/%04d.png.json"),
        ("out/frame_%04d.png", "out/frame_%04d.png.json"),
    ],
)
def test_where_the_sidecar_lies(output: str, sidecar: str) -> None:
    assert sidecar_path(output) == Path(sidecar)


def test_a_name_too_long_for_a_suffix_has_a_report_all_the_same() -> None:
    for name in ("x" * 251 + ".mp4", "ä" * 125 + ".mp4"):
        report = sidecar_path(name)
        assert report is not None and 250 <= len(os.fsencode(report.name)) <= 255
        assert report.name.endswith(".json") and report != sidecar_path("y" + name[1:])


@pytest.mark.parametrize(
    ("output", "sidecar"),
    [
        ("clip.mp4", "clip.json"),
        ("a/b/clip.tar.webm", "a/b/clip.tar.json"),
        ("out/%04d.png", "out.json"),
        ("a/out/%d.png", "a/out.json"),
        ("a/out.v2/%d.png", "a/out.v2.json"),
        ("out/frame_%04d.png", "out/frame.json"),
        ("out/%04d_left.png", "out/left.json"),
        ("%04d.png", "frames.json"),
        ("../%04d.png", "../frames.json"),
        ("/%04d.png", "/frames.json"),
    ],
)
def test_where_an_older_sidecar_lies(output: str, sidecar: str) -> None:
    assert older_path(output) == Path(sidecar)


def test_a_stream_has_no_sidecar() -> None:
    assert sidecar_path("-") is None


def test_claim_allows_a_new_output(tmp_path: Path) -> None:
    assert claim(str(tmp_path / "a.mp4"), Encoding()) is True
    assert claim(str(tmp_path / "new" / "deep" / "a.mp4"), Encoding()) is True
    assert claim(str(tmp_path / "out" / "%04d.png"), Encoding()) is True
    assert claim("-", Encoding(format="y4m")) is True
    assert list(tmp_path.iterdir()) == []  # it only looks


@pytest.mark.parametrize(
    ("output", "existing"),
    [("a.mp4", "a.mp4"), ("f_%02d.png", "f_07.png"), ("a.mp4", "a.mp4.json")],
)
def test_claim_refuses_what_exists(output: str, existing: str, tmp_path: Path) -> None:
    (tmp_path / existing).write_bytes(b"older")
    with pytest.raises(UsageError) as caught:
        claim(str(tmp_path / output), Encoding())
    assert caught.value.exit_code == 2
    if existing == "a.mp4.json":  # which --overwrite would not replace either
        said = f" and is not a report of {tmp_path / output}"
        hint = "move it away, or choose another name; --no-sidecar writes no report"
    else:
        said, hint = "", "--overwrite replaces it, --skip-existing leaves it"
    assert caught.value.message == f"{tmp_path / existing} exists{said}"
    assert caught.value.hint == hint
    if existing == "a.mp4":
        assert claim(str(tmp_path / output), Encoding(overwrite=True)) is True
    else:  # nothing says that it is vtg's
        with pytest.raises(UsageError, match=r"exists(,| and is not a) .*report"):
            claim(str(tmp_path / output), Encoding(overwrite=True))
    assert (tmp_path / existing).read_bytes() == b"older"


def test_claim_skips_what_exists_when_told_to(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"older")
    (tmp_path / "f_00.png").write_bytes(b"older")
    assert claim(str(tmp_path / "a.mp4"), Encoding(skip_existing=True)) is False
    assert claim(str(tmp_path / "f_%02d.png"), Encoding(skip_existing=True)) is False
    assert claim(str(tmp_path / "b.mp4"), Encoding(skip_existing=True)) is True
    assert claim(str(tmp_path / "f_%03d.png"), Encoding(skip_existing=True)) is True


def test_claim_counts_a_broken_link_as_existing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("gone.mp4")
    with pytest.raises(UsageError, match=r"a\.mp4 exists"):
        claim(str(tmp_path / "a.mp4"), Encoding())


@pytest.mark.parametrize("encoding", [Encoding(sidecar=False), Encoding(metadata=False)])
def test_claim_minds_the_sidecar_only_where_one_is_written(
    encoding: Encoding, tmp_path: Path
) -> None:
    (tmp_path / "a.mp4.json").write_bytes(b"mine")
    assert claim(str(tmp_path / "a.mp4"), encoding) is True


def test_claim_says_early_that_the_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MediaError) as caught:
        claim(str(tmp_path / "file" / "a.mp4"), Encoding())
    expected = f"cannot write {tmp_path}/file/a.mp4: {tmp_path}/file is not a folder"
    assert caught.value.message == expected
    assert caught.value.exit_code == 7
    monkeypatch.setattr(os, "access", lambda *_: False)  # a mode does not stop root
    with pytest.raises(MediaError, match=r"cannot write .*a\.mp4: no permission in "):
        claim(str(tmp_path / "a.mp4"), Encoding())


def test_notes_say_what_a_person_should_know() -> None:
    assert notes(FILES[".mp4"], 480, 640, Fraction(24)) == ()
    assert notes(FILES[".webm"], 47, 63, Fraction(24)) == ()
    (said,) = notes(FILES[".mp4"], 47, 63, Fraction(24))
    assert said.startswith("63x47 is an odd size: mp4 is written with full colour resolution")
    assert notes(FILES[".gif"], 48, 64, Fraction(25)) == ("gif holds 256 colours",)
    _, hard = notes(FILES[".gif"], 48, 64, Fraction(25), alpha=True)
    assert hard == (
        "gif has no half-transparent pixels: those of half and more are opaque; "
        ".webp and .apng keep them"
    )
    (said,) = notes(FILES[".gif"], 48, 64, Fraction(24000, 1001))
    assert said == (
        "gif holds 256 colours and delays in 1/100 s: at 23.98 frames a second they alternate "
        "between 4 and 5, right on average"
    )


def test_the_default_crf_is_used_unless_asked() -> None:
    def crf(asked: int | None) -> str:
        said = arguments(FILES[".mp4"], height=2, width=2, alpha=False, crf=asked)
        return said[said.index("-crf") + 1]

    assert (crf(None), crf(0), crf(51)) == ("16", "0", "51")
    assert "-crf" not in arguments(FILES[".mov"], height=2, width=2, alpha=False)


def test_every_format_is_reachable_once() -> None:
    assert len(FILES) + len(STREAMS) == len(FORMATS)
    assert [each.name for each in FORMATS if each.lossless] == [
        *("mkv", "apng", "png", "rawvideo", "nut")
    ]


def test_encoding_is_plain_and_frozen() -> None:
    encoding = Encoding()
    assert dataclasses.asdict(encoding) == {
        "format": None,
        "crf": None,
        "alpha": None,
        "overwrite": False,
        "skip_existing": False,
        "sidecar": True,
        "metadata": True,
        "paths": True,
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        encoding.crf = 3  # type: ignore[misc]


def test_checking_needs_no_heavy_import() -> None:
    program = (
        "import sys, vtg_cli.media.encoding\n"
        "print({'numpy', 'PIL', 'torch', 'imageio_ffmpeg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")
