"""vtg interpolate as a person or a script meets it: exit codes, streams, files, words."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli import __version__
from vtg_cli.cli import main
from vtg_cli.media.ffmpeg import ffmpeg
from vtg_cli.media.image import read_image
from vtg_cli.weights import store

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
ALONE = {**os.environ, "PYTHONPATH": SEARCHED, "TERM": "xterm-256color"}
ALONE = {name: value for name, value in ALONE.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
VTG = [sys.executable, "-m", "vtg_cli"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with no weights on the machine; the pictures lie beside it."""
    for i in range(3):
        y, x = np.mgrid[:36, :64]
        waves = [np.sin((x + 9 * i) / 6) + np.cos((y - 5 * i) / (5 + c)) for c in range(3)]
        pixels = (np.stack(waves, -1) * 60 + 128).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{'abc'[i]}.png")
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setitem(ALONE, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def pictures(count: int = 2) -> list[str]:
    return [f"../{name}.png" for name in "abc"[:count]]


def files() -> list[str]:
    return sorted(file.name for file in Path().iterdir())


def vtg(*arguments: str) -> int:
    return main(["interpolate", *arguments])


def test_two_pictures_become_a_clip(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "usable", lambda entry: False)  # whatever this machine has
    fps = ("--fps", "24000/1001")
    assert vtg(*pictures(), "-o", "clip.mkv", "--frames", "5", *fps, "--model", "auto") == 0
    out, err = capfd.readouterr()
    assert out == "clip.mkv\n"
    (line,) = err.splitlines()  # exactly one: which model and why
    assert line.startswith("vtg: model tiny: no larger model on this machine")
    assert files() == ["clip.mkv", "clip.mkv.json"]
    clip, fps = read_video("clip.mkv")
    # Matroska keeps whole milliseconds, so its rate comes back within a frame's rounding
    assert clip.shape == (5, 36, 64, 3) and abs(float(fps) - 24000 / 1001) < 0.01
    assert np.array_equal(clip[0], read_image("../a.png"))
    assert np.array_equal(clip[4], read_image("../b.png"))


def test_quiet_says_nothing_but_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*pictures(), "-o", "clip.mkv", "--frames", "2", "-q") == 0
    assert capfd.readouterr() == ("clip.mkv\n", "")


def test_json_is_the_sidecar_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*pictures(3), "-o", "clip.mkv", "--frames", "3,4", "--loop", "--json") == 2
    assert "2 numbers, but a loop of 3 keyframes has 3 segments" in capfd.readouterr().err
    assert vtg(*pictures(3), "-o", "clip.mkv", "--frames", "3,4,2", "--loop", "--json") == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed == json.loads(Path("clip.mkv.json").read_text(encoding="utf-8"))
    assert printed["clip"]["keyframes_at"] == [0, 2, 5]
    assert printed["clip"]["frames"] == 6


def test_dry_run_tells_the_plan_and_makes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*pictures(), "-o", "clip.mp4", "--duration", "2", "--width", "128", "--dry-run"]
    assert vtg(*arguments) == 0
    out = capfd.readouterr().out
    assert "clip.mp4: 48 frames at 24 a second, 2 s, 128x72" in out
    assert "../a.png at frame 0, ../b.png at frame 47" in out
    assert vtg(*arguments, "--json") == 0
    planned = json.loads(capfd.readouterr().out)
    assert (planned["clip"]["frames"], planned["clip"]["height"]) == (48, 72)
    assert "segments" not in planned
    assert files() == []


def test_an_output_that_exists_is_refused_replaced_or_left(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("clip.mkv").write_bytes(b"mine")
    assert vtg(*pictures(), "-o", "clip.mkv", "--frames", "2") == 2
    assert capfd.readouterr().err.splitlines() == [
        "vtg: clip.mkv exists",
        "     --overwrite replaces it, --skip-existing leaves it",
    ]
    assert vtg(*pictures(), "-o", "clip.mkv", "--frames", "2", "--skip-existing") == 0
    assert capfd.readouterr() == ("clip.mkv\n", "vtg: clip.mkv exists and is kept\n")
    assert Path("clip.mkv").read_bytes() == b"mine"
    assert vtg(*pictures(), "-o", "clip.mkv", "--frames", "2", "--overwrite") == 0
    assert len(read_video("clip.mkv")[0]) == 2


REFUSALS: list[tuple[list[str], int, str]] = [
    # not a command line at all
    ([], 2, "missing argument 'PICTURE...'"),
    (["../a.png", "../b.png"], 2, "missing option '--output'"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--frmaes", "3"], 2, "no such option: --frmaes"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--steps", "many"], 2, "'--steps'"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--fit", "zoom"], 2, "'crop', 'pad', 'stretch'"),
    # timing
    (["../a.png", "../b.png", "-o", "c.mp4", "--frames", "1"], 2, "--frames 1 is out of range"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--fps", "fast"], 2, "--fps fast"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--ease", "jump"], 2, "--ease jump"),
    (
        ["../a.png", "../b.png", "-o", "c.mp4", "--frames=9", "--fps=24", "--duration=1"],
        2,
        "contradict each other",
    ),
    # keyframes
    (["../a.png", "-o", "c.mp4"], 2, "needs two keyframes or more, 1 given"),
    (["../a.png", "-o", "c.mp4", "--loop"], 2, "a loop needs two keyframes or more, 1 given"),
    (["../a.png", "../nix.png", "-o", "c.mp4"], 7, "no such file: ../nix.png"),
    (["../a.png", "..", "-o", "c.mp4"], 7, ".. is a folder"),
    # model
    (["../a.png", "../b.png", "-o", "c.mp4", "--model", "svd-xt"], 5, "svd-xt"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--model", "svdxt"], 2, "svdxt"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--solver", "euler"], 2, "--solver is for diffusion"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--guidance", "1:2:3"], 2, "--guidance 1:2:3"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--reverse-base=svd"], 2, "--reverse-base"),
    # output
    (["../a.png", "../b.png", "-o", "c.mp3"], 2, ".mp3"),
    (["../a.png", "../b.png", "-o", "clip"], 2, "no suffix"),
    (["../a.png", "../b.png", "-o", "nix/c.mp4"], 7, "there is no folder nix"),
    (["../a.png", "../b.png", "-o", "../a.png"], 2, "numbered sequence"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--crf", "99"], 2, "--crf 99"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--format", "nut"], 2, "--format nut is for streams"),
    (["../a.png", "../b.png", "-o", "c.gif", "--fps", "60"], 2, "gif cannot play 60"),
    (["../a.png", "../b.png", "-o", "-"], 2, "needs --format"),
    (["../a.png", "../b.png", "-o", "-", "--format=nut", "--json"], 2, "both want stdout"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--sheet", "s.jpg"], 2, "--sheet s.jpg"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--sheet", "nix/s.png"], 7, "nix/s.png"),
    (["../a.png", "../b.png", "-o", "c.mp4", "--alpha"], 2, "mp4 cannot keep alpha"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSALS)
def test_a_refusal_is_a_line_and_a_hint(
    arguments: list[str], code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vtg(*arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    message, *hint = err.splitlines()
    assert message.startswith("vtg: ") and said in message
    assert len(hint) <= 1 and all(line.startswith("     ") for line in hint)
    assert files() == []


def test_an_output_may_not_replace_a_keyframe(capfd: pytest.CaptureFixture[str]) -> None:
    Image.open("../a.png").save("a.webp", lossless=True)
    assert vtg("a.webp", "../b.png", "-o", "a.webp", "--overwrite") == 2
    assert "a.webp is one of the inputs" in capfd.readouterr().err
    assert np.array_equal(read_image("a.webp"), read_image("../a.png"))


def test_debug_shows_where_it_broke(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("vtg_cli.render.draw.work", broken)
    assert vtg(*pictures(), "-o", "clip.mp4") == 1
    assert capfd.readouterr().err.splitlines() == [
        "vtg: unexpected failure: ZeroDivisionError: a bug",
        "     run it again with --debug to see where; it is a bug in vtg",
    ]
    assert vtg(*pictures(), "-o", "clip.mp4", "--debug") == 1
    err = capfd.readouterr().err
    assert err.startswith("Traceback") and "in broken" in err


def test_running_out_of_memory_ends_with_4(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("vtg_cli.render.segments.flow", greedy)
    assert vtg(*pictures(), "-o", "clip.mp4", "-q") == 4
    assert capfd.readouterr().err.startswith("vtg: out of memory on cpu: flow at 64x36\n")
    assert files() == []


def test_the_same_picture_twice_is_allowed_and_said(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg("../a.png", "../a.png", "-o", "clip.mkv", "--frames", "3") == 0
    assert "../a.png follows itself: the clip stands still" in capfd.readouterr().err
    clip, _ = read_video("clip.mkv")
    assert (clip == read_image("../a.png")).all()


def test_a_contact_sheet_lies_beside(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*pictures(), "-o", "clip.mp4", "--frames", "3", "--sheet", "sheet.png"]
    assert vtg(*arguments) == 0
    assert np.array_equal(read_image("sheet.png")[:36, :64], read_image("../a.png"))
    assert vtg(*arguments) == 2
    assert "sheet.png exists" in capfd.readouterr().err


# ------------------------------------------------------------------------------------- streams


def stream(form: str, *more: str) -> subprocess.Popen[bytes]:
    command = [
        *VTG,
        "interpolate",
        *pictures(),
        "-o",
        "-",
        "--format",
        form,
        "--frames",
        "24",
        *more,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ALONE)


@pytest.mark.parametrize("form", ["y4m", "nut", "rawvideo"])
def test_a_stream_has_exactly_the_frames(form: str) -> None:
    raw = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "64x36"]
    reader = [ffmpeg(), "-v", "error", *(raw if form == "rawvideo" else []), "-i", "pipe:0"]
    with stream(form) as writer:
        done = subprocess.run(
            [*reader, "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"],
            stdin=writer.stdout,
            capture_output=True,
            check=True,
        )
        assert writer.stderr is not None
        said = writer.stderr.read().decode()
    assert writer.returncode == 0
    assert said == ""  # no progress without a terminal
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 36, 64, 3)
    assert len(frames) == 24
    if form != "y4m":  # 4:2:0 loses colour; the other two are lossless
        assert np.array_equal(frames[0], read_image("../a.png"))
        assert np.array_equal(frames[23], read_image("../b.png"))
    assert files() == []


def test_a_reader_that_goes_away_is_no_failure() -> None:
    with stream("rawvideo", "--width", "320", "-q") as writer:  # 4 MB: more than a pipe holds
        assert writer.stdout is not None and writer.stderr is not None
        assert len(writer.stdout.read(100)) == 100
        writer.stdout.close()
        said = writer.stderr.read().decode()
    assert (writer.returncode, said) == (0, "")


# ---------------------------------------------------------------------------------- a terminal


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: ours and the one to give away."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def shown(ours: int, command: list[str], theirs: int, **streams: int) -> tuple[int, str]:
    """Exit code of a command, and what it wrote to the terminal."""
    with subprocess.Popen(command, env=ALONE, **streams) as child:  # type: ignore[call-overload]
        os.close(theirs)
        written = b""
        while True:
            try:
                written += (block := os.read(ours, 4096))
            except OSError:  # the other end is closed
                break
            if not block:
                break
    return child.returncode, written.decode()


def test_stdout_that_is_a_terminal_gets_no_video(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    command = [*VTG, "interpolate", *pictures(), "-o", "-", "--format", "y4m"]
    code, written = shown(ours, command, theirs, stdout=theirs, stderr=theirs)
    assert code == 2
    assert "vtg: -o - would pour video into the terminal" in written


@pytest.mark.parametrize(
    ("variables", "flags", "bar", "colour"),
    [
        ({}, [], True, True),
        ({"NO_COLOR": "1"}, [], True, False),
        ({"TERM": "dumb"}, [], False, False),
        ({}, ["-q"], False, False),
    ],
)
def test_a_person_at_a_terminal_sees_progress(
    variables: dict[str, str],
    flags: list[str],
    bar: bool,
    colour: bool,
    terminal: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setitem(ALONE, name, value)
    ours, theirs = terminal
    command = [*VTG, "interpolate", *pictures(), "-o", "clip.mp4", "--frames", "3", *flags]
    code, written = shown(ours, command, theirs, stdout=subprocess.DEVNULL, stderr=theirs)
    assert code == 0
    assert ("0%" in written) == bar
    assert ("\x1b[3" in written) == colour  # foreground colours are 30 to 38
    assert ("\x1b" in written) == bar  # moving the cursor


# --------------------------------------------------------------------------------- being stopped


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "vtg: interrupted"), (signal.SIGTERM, 143, "vtg: terminated")],
)
def test_being_stopped_leaves_no_debris(number: int, code: int, said: str, here: Path) -> None:
    size = ["--width", "1280", "--height", "720", "--frames", "400"]  # minutes of work
    command = [*VTG, "interpolate", *pictures(), "-o", "clip.mp4", "-q", *size]
    with subprocess.Popen(command, env=ALONE, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 60
        while not files():  # the temporary file tells that work has begun
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.05)
        assert "clip.mp4" not in files()
        time.sleep(0.5)  # well into drawing
        child.send_signal(number)
        assert child.stderr is not None
        assert child.stderr.read().decode().splitlines() == [said]
    assert child.returncode == code
    assert files() == []


# ------------------------------------------------------------------------------ help, completion


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"vtg {__version__}\n"
    for flag in ("-h", "--help"):
        assert main([flag]) == 0
        out = capfd.readouterr().out
        assert all(command in out for command in ("interpolate", "run", "models"))
    assert main([]) == 0
    assert capfd.readouterr().out == out


def test_help_has_every_option_in_its_panel(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert vtg("--help-all") == 0
    out = capfd.readouterr().out
    panels = ("Timing", "Text", "Model", "Sampling", "Picture", "Output", "Machine")
    assert all(f"\n{panel}" in out for panel in panels)
    options = (
        "frames duration fps loop ease prompt negative-prompt text-curve model method reverse "
        "reverse-base steps solver guidance fusion init init-until strength temperature renoise "
        "renoise-until motion-bucket noise-aug seed width height fit background "
        "alpha no-alpha endpoints decode-chunk memory device dtype output format crf overwrite "
        "skip-existing no-sidecar no-metadata no-paths json dry-run sheet debug quiet help"
    )
    assert [name for name in options.split() if f"--{name} " not in out] == []


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--model", "sv"], {"svd", "svd-xt", "svd-xt-1.1"}),
        (["--model", "f"], {"flow"}),
        (["--reverse", ""], {"svd-reverse"}),
        (["--ease", "ease-"], {"ease-in", "ease-out", "ease-in-out"}),
        (["--text-curve", "h"], {"hold"}),
        (["--init", ""], {"random", "flow", "slerp"}),
        (["--fit", ""], {"crop", "pad", "stretch"}),
        (["--renoise"], {"--renoise", "--renoise-until"}),
    ],
)
def test_the_shell_completes(words: list[str], offered: set[str]) -> None:
    """As bash asks, and without importing arrays on the way."""
    line = ["vtg", "interpolate", *words]
    variables = {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(line) - 1)}
    code = (
        "import sys\nfrom vtg_cli.cli import main\n"
        "try: main()\nfinally: assert not {'numpy', 'torch', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**ALONE, **variables, "_VTG_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == offered


def test_the_completion_script_is_for_vtg() -> None:
    done = subprocess.run(
        VTG, env={**ALONE, "_VTG_COMPLETE": "source_bash"}, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "complete -o default -F _vtg_completion vtg" in done.stdout


def test_transparency_is_kept_by_default_where_the_output_can() -> None:
    """Red discs on nothing: the corner stays clear, the discs opaque, in the middle frame too."""
    for name, left in (("x.png", 4), ("y.png", 12)):
        sprite = np.zeros((32, 48, 4), np.uint8)
        sprite[8:24, left : left + 16] = 230, 40, 30, 255
        Image.fromarray(sprite).save(name)
    assert vtg("x.png", "y.png", "-o", "%d.png", "--frames", "3", "--model", "flow") == 0
    middle = np.asarray(Image.open("1.png"))
    assert middle.shape == (32, 48, 4) and middle[0, 0, 3] == 0 and middle[16, 20, 3] == 255
