"""Where every frame of a retimed clip stands, to the fraction."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vtg_cli.clips.retime import (
    frames,
    opened,
    save,
    shares,
)
from vtg_cli.clips.retiming import Found
from vtg_cli.errors import UsageError
from vtg_cli.job.jobs import Interpolate, Retime
from vtg_cli.job.times import count
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.media.ffmpeg import run
from vtg_cli.media.probe import extent, probe
from vtg_cli.render.findings import Report

FILM = Fraction(24000, 1001)
HOUR = 86314  # frames: 3600 s at 24000/1001 are 86313.69


def retime(path: Path, output: Path, **more: object) -> Retime:
    name = str(path)
    between = Interpolate(
        keyframes=(name, name), output=str(output), model="flow", encoding=Encoding(overwrite=True)
    )
    return Retime(clip=Input(path=name), between=between, **more)  # type: ignore[arg-type]


def clip(path: Path, *how: str, frames: int = 6, sound: bool = False) -> Path:
    source = "testsrc2=s=32x18:r=24000/1001"
    tone = ("-f", "lavfi", "-i", f"sine=r=48000:d={float(frames / FILM)}") if sound else ()
    done = run("-f", "lavfi", "-i", source, *tone, "-frames:v", str(frames), *how, str(path))
    assert done.returncode == 0, done.stderr.decode()
    return path


@pytest.mark.parametrize("factor", [2, Fraction(1, 3)])
def test_an_hour_of_film_drifts_by_nothing(factor: Fraction) -> None:
    """Every old frame that a new one's time falls on is met exactly; the last one too."""
    step = 1 / (FILM * factor)
    k, met = 0, 0
    for i in range(HOUR):
        found = shares(i / FILM, (i + 1) / FILM, step, k)
        met += bool(found) and found[0] == 0
        if i % 997 == 0 or i > HOUR - 9:  # all of them takes fractions their time
            assert all((k + n) * step == (i + share) / FILM for n, share in enumerate(found))
        k += len(found)
    assert k == -(-HOUR * Fraction(factor).numerator // Fraction(factor).denominator)
    every = Fraction(factor).denominator  # old frames from one that is met to the next
    assert met == -(-HOUR // every)
    assert count(HOUR / FILM, step) == round(HOUR * factor)


def test_from_23976_to_60_for_an_hour() -> None:
    """60 new frames in 23.976 old ones: 5 in every 1001/500 of them."""
    step, k = Fraction(1, 60), 0
    for i in range(HOUR):
        k += len(shares(i / FILM, (i + 1) / FILM, step, k))
    seconds = HOUR / FILM
    assert k == -(-seconds.numerator * 60 // seconds.denominator)
    assert abs(k / Fraction(60) - seconds) <= step


def test_every_frame_stays_and_in_betweens_come_between(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    with open_clip(Input(path=str(path))) as source:
        old = [frame.pixels for frame in source.frames()]
    job = retime(path, tmp_path / "b.mkv", factor=Fraction(3), cuts="ignore", duplicates="keep")
    found = Found()
    with opened(job) as (made, source):
        assert (made.frames, made.fps, made.factor) == (18, FILM, 3)
        new = list(frames(made, source, found, Report()))
    assert len(new) == 18
    assert all(np.array_equal(new[3 * i], frame) for i, frame in enumerate(old))
    assert np.array_equal(new[16], old[5]) and np.array_equal(new[17], old[5])
    assert (found.read, found.drawn, found.written) == (6, 10, 18)


def test_length_rate_and_sound_of_the_file(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", "-c:a", "aac", frames=12, sound=True)
    job = retime(path, tmp_path / "b.mp4", factor=Fraction(2))
    with opened(job) as (made, source):
        report = save(made, source)
    made_of = extent(str(tmp_path / "b.mp4"))
    assert (made_of.frames, made_of.seconds) == (24, 24 / FILM)
    heard = run(
        "-i", str(tmp_path / "b.mp4"), "-f", "s16le", "-ac", "1", "-ar", "48000", "-"
    ).stdout
    # 24 frames are 1.001 s; AAC comes in blocks, and its end is not told to the sample
    assert abs(len(heard) / 2 / 48000 - 1.001) < 1024 / 48000
    assert (report["clip"]["frames"], report["clip"]["fps"]) == (24, "24000/1001")
    assert report["clip"]["seconds"] == "1.001"


def test_a_flash_and_its_beep_stay_together(tmp_path: Path) -> None:
    """benchmarks/bench_slow.py in small: white for the one frame 12, and a beep that begins there.

    The beep's attack is softened by a stretch of 2: half its loudness comes up to 45 ms early.
    """
    flash = "testsrc2=s=32x18:r=24000/1001,drawbox=c=white:t=fill:enable='eq(n,12)'"
    at = float(12 / FILM)
    beep = f"aevalsrc='0.5*sin(2*PI*1000*t)*between(t,{at},{at + 0.2})':s=48000:d=1.001"
    path = str(tmp_path / "a.mp4")
    sources = ("-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep)
    run(*sources, "-frames:v", "24", "-pix_fmt", "yuv420p", path)
    with opened(retime(Path(path), tmp_path / "b.mp4", factor=Fraction(2))) as (made, source):
        report = save(made, source)
    new = str(tmp_path / "b.mp4")
    light = run("-i", new, "-vf", "scale=8:8,format=gray", "-f", "rawvideo", "-").stdout
    white = np.frombuffer(light, np.uint8).reshape(-1, 64).mean(1) > 200
    assert len(white) == 48
    assert list(np.flatnonzero(white)) == [24, 25]  # held between two cuts, not drawn across
    assert report["found"]["cuts"] == 2
    heard = np.frombuffer(run("-i", new, "-ac", "1", "-f", "s16le", "-").stdout, np.int16)
    begins = np.flatnonzero(np.abs(heard.astype(int)) > 0.25 * 32767)[0] / 48000
    assert -0.045 < begins - 2 * at < 0.005


def test_sound_is_copied_where_nothing_changes(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", "-c:a", "aac", sound=True)
    job = retime(path, tmp_path / "b.mp4", fps=FILM / 2)
    with opened(job) as (made, source):
        assert made.sound is not None and made.sound.graph == ""
        save(made, source)

    def packets(file: Path) -> list[str]:
        how = ("-map", "0:a:0", "-c", "copy", "-f", "framehash", "-")
        lines = run("-i", str(file), *how).stdout.decode().splitlines()
        return [line.split(",")[-1] for line in lines if line[0] != "#"]

    assert packets(tmp_path / "b.mp4") == packets(path) != []


def test_a_length_asked_for_is_kept(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4")
    job = retime(path, tmp_path / "b.mp4", duration=Fraction(1, 2), fps=Fraction(30))
    with opened(job) as (made, _):
        assert made.frames == 15
        assert made.factor == Fraction(1, 2) / (6 / FILM)


def test_uneven_times_are_met_where_they_are(tmp_path: Path) -> None:
    """Frames 0, 2, 3 and 7 of the grid: what is drawn for the places between lies between."""
    choose = "select='eq(n,0)+eq(n,2)+eq(n,3)+eq(n,7)'"
    how = ("-vf", choose, "-fps_mode", "vfr", "-c:v", "ffv1", "-pix_fmt", "bgr0")
    path = clip(tmp_path / "a.mov", *how, frames=4)
    with open_clip(Input(path=str(path))) as source:
        old = [frame.pixels for frame in source.frames()]
    job = retime(path, tmp_path / "b.mkv", fps=FILM, cuts="ignore", duplicates="keep")
    with opened(job) as (made, source):
        new = list(frames(made, source, Found(), Report()))
    assert len(new) == 8
    for place, frame in zip((0, 2, 3, 7), old, strict=True):
        assert np.array_equal(new[place], frame)


def test_standard_input_has_no_length_beforehand(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--factor and --duration both say"):
        job = retime(
            tmp_path / "a.mp4", tmp_path / "b.mp4", factor=Fraction(2), duration=Fraction(1)
        )
        with opened(job):
            pass


def test_2997_beside_ntsc_draws_nothing(tmp_path: Path) -> None:
    """28 of 30 frames were drawn anew for a millionth of a frame a second."""
    film = clip(tmp_path / "a.mp4", "-pix_fmt", "yuv420p", frames=24)
    job = retime(film, tmp_path / "b.mp4", fps=Fraction("23.976"), duplicates="keep")
    with opened(job) as (made, source):
        report = save(made, source)
    assert (report["found"]["drawn"], report["clip"]["fps"]) == (0, "24000/1001")
    assert report["job"]["fps"] == "24000/1001"
    told = "--fps 23.976 is read as 24000/1001, which is the clip's kind of rate"
    assert report["notes"] == [told]


def test_surround_into_webm(tmp_path: Path) -> None:
    """Opus knows neither 5.1(side) nor 4.0 by name; of the first nothing is mixed."""
    for layout, becomes, mixed in (("5.1(side)", "5.1", 0), ("4.0", "5.0", 1)):
        path = str(tmp_path / "a.mov")
        tone = f"anullsrc=cl={layout}:r=48000:d=0.25"
        made_of = ("-f", "lavfi", "-i", "testsrc2=s=32x18:d=0.25", "-f", "lavfi", "-i", tone)
        run(*made_of, "-c:a", "pcm_s16le", "-y", path)
        with opened(retime(Path(path), tmp_path / "b.webm", factor=Fraction(2))) as (made, source):
            report = save(made, source)
        (heard,) = probe(str(tmp_path / "b.webm")).audio
        assert (heard.codec, heard.layout) == ("opus", becomes)
        assert len(report["notes"]) == mixed
