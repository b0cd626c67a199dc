"""vtg slow on a long clip with sound: is its length exact, does sound stay with picture, is memory
flat?

    python benchmarks/bench_slow.py                      # ten minutes at 24000/1001, 20 CPU min
    python benchmarks/bench_slow.py --minutes 0.5        # the same in small

The clip is made with ffmpeg: a moving test picture that is white for one frame every 240, each time
with a beep that begins at that very moment. The slowed clip is decoded again, and every white frame
and every beep is looked for. Its resident memory is read twice a second, of vtg and of its ffmpegs.
A card for people, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtg_cli.media.ffmpeg import ffmpeg

ROOT = Path(__file__).resolve().parent.parent
RATE = Fraction(24000, 1001)
EVERY, OFFSET = 240, 120  # frames from flash to flash, and to the first
HERTZ = 48000
BEEP = 0.25  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=Fraction, default=Fraction(10))
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--size", default="64x36")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "source.mp4"), Path(folder, "slow.mp4")
        frames = round(asked.minutes * 60 * RATE)
        make(source, asked.size, frames)
        facts = measure(source, made, asked.factor)
        facts |= check(made, frames, asked.factor)
    facts = {"minutes": float(asked.minutes), "size": asked.size, "factor": asked.factor, **facts}
    for name, value in facts.items():
        print(f"{name:24} {value}")
    print(json.dumps(facts))


def make(path: Path, size: str, frames: int) -> None:
    """A clip of that many frames, white and beeping at frames OFFSET, OFFSET + EVERY, ..."""
    period, first = EVERY / RATE, OFFSET / RATE
    flash = f"drawbox=c=white:t=fill:enable='eq(mod(n,{EVERY}),{OFFSET})'"
    phase = f"mod(t-{float(first)}+{float(period)},{float(period)})"
    beep = f"aevalsrc='0.5*sin(2*PI*1000*{phase})*lt({phase},{BEEP})':s={HERTZ}"
    seconds = str(float(frames / RATE))
    run(
        *("-f", "lavfi", "-i", f"testsrc2=s={size}:r={RATE}:d={seconds},{flash}"),
        *("-f", "lavfi", "-t", seconds, "-i", beep, "-frames:v", str(frames)),
        *("-c:v", "libx264", "-preset", "fast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)),
    )


def measure(source: Path, made: Path, factor: int) -> dict[str, object]:
    """Runs vtg slow; how long it took and how much memory it held, in each quarter of its time."""
    command = [sys.executable, "-m", "vtg_cli", "slow", str(source), "-o", str(made), "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--factor", str(factor)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    seen: list[tuple[int, int]] = []
    while process.poll() is None:
        seen.append((resident(process.pid), sum(map(resident, children(process.pid)))))
        time.sleep(0.5)
    assert process.stdout is not None
    report = json.loads(process.stdout.read())
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    quarters = np.array_split(np.array(seen[4:]), 4)  # the first two seconds are imports
    return {
        "wall_seconds": round(time.perf_counter() - began),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime),
        "drawn": report["found"]["drawn"],
        "cuts_held": report["found"]["cuts"],
        "peak_mb_vtg_by_quarter": [round(float(q[:, 0].max()) / 1e6, 1) for q in quarters],
        "peak_mb_ffmpeg_by_quarter": [round(float(q[:, 1].max()) / 1e6, 1) for q in quarters],
    }


def check(path: Path, frames: int, factor: int) -> dict[str, object]:
    """The slowed clip's length, and where its flashes and its beeps are."""
    light = np.frombuffer(
        run("-i", str(path), "-vf", "scale=8:8,format=gray", "-f", "rawvideo", "-"), np.uint8
    )
    light = light.reshape(-1, 64).mean(1)
    white = light > 200  # of 255; the test picture's mean is about 110
    flashes = np.flatnonzero(white & ~np.roll(white, 1))
    wanted = np.arange(OFFSET, frames, EVERY) * factor
    heard = np.frombuffer(
        run("-i", str(path), "-ac", "1", "-ar", str(HERTZ), "-f", "s16le", "-"), np.int16
    )
    begins, ends = beeps(heard, BEEP * factor)
    exact = wanted / float(RATE)
    found = len(begins) == len(wanted)
    early = (begins - exact) * 1000 if found else np.array([np.nan])
    late = (ends - exact - BEEP * factor) * 1000 if found else np.array([np.nan])
    length = len(heard) / HERTZ - len(light) / float(RATE)
    return {
        "frames": len(light),
        "frames_wanted": frames * factor,
        "flashes": len(flashes),
        "flashes_off_by_frames": int(np.abs(flashes - wanted).max())
        if len(flashes) == len(wanted)
        else None,
        "beeps": len(begins),
        "beep_begins_off_ms_first_last": [round(float(x), 1) for x in (early[0], early[-1])],
        "beep_begins_off_ms_range": [round(float(x), 1) for x in (early.min(), early.max())],
        "beep_ends_off_ms_range": [round(float(x), 1) for x in (late.min(), late.max())],
        "sound_longer_ms": round(length * 1000, 1),
    }


def beeps(
    sound: NDArray[np.int16], lasts: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds at which each beep reaches half its loudness first and last."""
    step = HERTZ // 1000
    loud = np.abs(sound[: len(sound) // step * step].astype(float)).reshape(-1, step).max(1)
    high = np.flatnonzero(loud > 0.25 * 32767)
    apart = 1000 * lasts
    first = high[np.diff(high, prepend=-(10**6)) > apart]
    last = high[np.diff(high, append=10**9) > apart]
    return first / 1000, (last + 1) / 1000


def run(*arguments: str) -> bytes:
    command = [ffmpeg(), "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def resident(pid: int) -> int:
    """Bytes of memory a process holds; 0 when it is gone. Linux."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main()
