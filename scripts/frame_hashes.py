"""Hash the frames of short jobs through every path, to show that a change alters none of them.

    python scripts/frame_hashes.py benchmarks/results/frame_hashes.json
    python scripts/frame_hashes.py --against benchmarks/results/frame_hashes.json

Each job is one call of the command line in a process of its own, so the hashes outlive any move of
code. A frame is hashed as ffmpeg decodes it (rgba), a report without what differs between
two equal runs (times, versions) and without the places of files. Model folders are the tiny random
networks that the tests use. Hashes hold for one machine and one set of libraries: compare two
commits on the same one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parent.parent
PARITY = ROOT / "tests" / "data" / "parity"
SIZE = 96, 64
UNSTABLE = {"seconds", "versions", "memory", "output", "sidecar", "reason"}
"""Parts of a report that two equal runs may differ in, or that name places."""


@dataclass(frozen=True)
class Job:
    """One call of vtg. output: the file, pattern or "-" that it draws into."""

    name: str
    arguments: str
    output: str


SVD = "--model svd_tiny --steps 4 --frames 14 --width 64 --height 64"
DETAIL = "--model svd_tiny --steps 2 --frames 6 --method trf"
DC = "--model dc --steps 3 --frames 16 --width 64 --height 64"
JOBS = [
    Job("flow", "interpolate a.png b.png --model flow --frames 6", "flow.mp4"),
    Job("tiny", "interpolate a.png b.png --model tiny --frames 5 --seed 3", "tiny.mkv"),
    Job("svd-gi", f"interpolate a.png b.png {SVD} --reverse reverse --method gi", "gi.mkv"),
    Job("svd-trf", f"interpolate a.png b.png {SVD} --method trf --seed 1", "trf.mkv"),
    Job("svd-i2v", f"interpolate a.png b.png {SVD} --method i2v --solver heun", "i2v.mkv"),
    Job("dc-own", f"interpolate a.png b.png {DC} --method dynamicrafter", "dc.mkv"),
    Job("dc-tvg", f"interpolate a.png b.png {DC} --method tvg", "tvg.mkv"),
    Job("dc-trf", f"interpolate a.png b.png {DC} --method trf", "dctrf.mkv"),
    Job("dc-attention", f"interpolate a.png b.png {DC} --method attention", "dcat.mkv"),
    Job("loop", "interpolate a.png b.png c.png --model flow --frames 4 --loop", "loop.gif"),
    Job("timeline", "render story.toml", "story.mkv"),
    Job("carry", "interpolate a.png@0 b.png@0.5s c.png@1.2s --carry --model flow", "carry.mkv"),
    Job("png", "interpolate a.png b.png --model flow --frames 4 --ease ease-in-out", "s/%03d.png"),
    Job("alpha", "interpolate sprite_a.png sprite_b.png --model flow --frames 5", "alpha.mov"),
    Job("y4m", "interpolate a.png b.png --model flow --frames 5 --format y4m", "-"),
    Job("webp", "interpolate a.png b.png --model flow --frames 4 --width 48", "small.webp"),
    Job("detail", f"interpolate big_a.png big_b.png {DETAIL} --detail keyframes", "detail.mkv"),
    Job("retime", "retime clip.mp4 --fps 20", "retime.mkv"),
    Job("slow", "slow clip.mp4 --factor 2", "slow.mkv"),
    Job("bridge", "bridge clip.mp4 other.mp4 --frames 5 --model flow", "bridge.mkv"),
    Job("batch", "batch clips.csv --model flow --frames 4", "many/one.mp4"),
    Job("old", "run recorded.json", "old.mkv"),
    Job(
        "fallback",
        "interpolate a.png c.png --model tiny --on-bad fallback --frames 5 --seed 2",
        "fallback.mkv",
    ),
    Job("morph", "morph a.png b.png --model tiny --frames 4", "morph.mkv"),
]


def main() -> None:
    """Draw all jobs, then print or write their hashes, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="the JSON to write; default: stdout")
    parser.add_argument("--against", type=Path, help="an earlier file: exit 1 if a hash differs")
    parser.add_argument("--only", nargs="*", help="names of jobs")
    options = parser.parse_args()
    chosen = [job for job in JOBS if not options.only or job.name in options.only]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder)
        hashes = {job.name: hashed(job, folder) for job in chosen}
    text = json.dumps(hashes, indent=2) + "\n"
    if options.against:
        expected = json.loads(options.against.read_text(encoding="utf-8"))
        changed = [name for name, found in hashes.items() if found != expected.get(name)]
        print("\n".join(f"{name} differs" for name in changed) or f"{len(hashes)} jobs equal")
        sys.exit(bool(changed))
    if options.file:
        options.file.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def prepare(folder: Path) -> None:
    """Paint the pictures, encode the clips, lay out the model folders."""
    width, height = SIZE
    ramp = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    ground = Image.fromarray(np.repeat(ramp, 3, axis=2).astype(np.uint8))
    for name, left, colour in (("a", 12, "red"), ("b", 36, "red"), ("c", 50, "blue")):
        picture = ground.copy()
        ImageDraw.Draw(picture).rectangle((left, 20, left + 22, 44), fill=colour)
        picture.save(folder / f"{name}.png")
        picture.resize((256, 160)).save(folder / f"big_{name}.png")
        sprite = Image.new("RGBA", SIZE)
        ImageDraw.Draw(sprite).ellipse((left, 18, left + 26, 44), fill=(230, 40, 30, 255))
        sprite.save(folder / f"sprite_{name}.png")
    sound = ("-f", "lavfi", "-i", "sine=440:d=1")
    for name, source in (("clip", "testsrc2"), ("other", "smptebars")):
        picture_source = ("-f", "lavfi", "-i", f"{source}=s=96x64:r=10:d=1")
        ffmpeg(*picture_source, *sound, "-pix_fmt", "yuv420p", str(folder / f"{name}.mp4"))
    (folder / "s").mkdir()
    (folder / "many").mkdir()
    (folder / "clips.csv").write_text("name,first,last,ease\none,a.png,b.png,ease-in\n")
    (folder / "story.toml").write_text(STORY)
    inputs = [
        {"sha256": sha256(folder / f"{name}.png"), "height": 64, "width": 96} for name in "ab"
    ]
    (folder / "recorded.json").write_text(json.dumps({**OLD, "inputs": inputs}))
    (folder / "svd_tiny").symlink_to(PARITY / "tiny_svd")
    released(folder)
    vtg(folder, "models", "delta", "--tuned", str(PARITY / "tiny_svd_reverse"))
    vtg(folder, "models", "import", "model.ckpt", "-o", "dc", "--config", str(CONFIG))


STORY = """
fps = 8
[defaults]
model = "flow"
[[keyframe]]
picture = "a.png"
[[segment]]
duration = "500ms"
carry = true
[[keyframe]]
picture = "b.png"
[[segment]]
duration = "1s"
model = "tiny"
seed = 4
[[keyframe]]
picture = "c.png"
"""
OLD = {
    "schema": "vtg-sidecar",
    "version": 1,
    "job": {
        "kind": "interpolate",
        "keyframes": ["a.png", "b.png"],
        "output": "old.mkv",
        "frames": [5],
        "fps": "8",
        "model": "flow",
    },
    "weights": {},
    "versions": {},
}
"""A report as the first version wrote it, without the fields that came later."""
CONFIG = PARITY / "dc_tiny" / "config.json"


def sha256(file: Path) -> str:
    """Return the sha256 of a file in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def released(folder: Path) -> None:
    """Write the recordings' tiny DynamiCrafter in the form in which its authors release theirs."""
    sys.path.insert(0, str(ROOT / "tests" / "weights"))
    import released as recording
    import torch

    torch.save({"state_dict": recording.released_tensors()}, folder / "model.ckpt")


def hashed(job: Job, folder: Path) -> dict[str, Any]:
    """Run one job; return its frames' and its report's sha256."""
    print(job.name, file=sys.stderr)
    template = "many" if job.name == "batch" else job.output
    stdout = vtg(folder, *job.arguments.split(), "-o", template)
    if job.output == "-":
        (folder / "stream.y4m").write_bytes(stdout)
        frames = folder / "stream.y4m"
    else:
        frames = folder / job.output
    report = next(reports(frames), None)
    return {
        "frames": hashlib.sha256(decoded(frames)).hexdigest(),
        "report": report and hashlib.sha256(stable(report)).hexdigest(),
    }


def reports(clip: Path) -> Iterator[Path]:
    """Find the report of a clip: beside it, under its whole name or its stem."""
    stem = clip.name.replace("%03d", "")
    names = (f"{clip.name}.json", f"{clip.stem}.json", f"{Path(stem).stem}.json")
    places = [folder / name for folder in (clip.parent, clip.parent.parent) for name in names]
    places.append(clip.parent.with_suffix(".json"))
    yield from (place for place in places if place.is_file())


def decoded(clip: Path) -> bytes:
    """Return all frames as rgba bytes, decoded by ffmpeg; animated WebP by Pillow."""
    if clip.suffix == ".webp":
        with Image.open(clip) as opened:
            frames = []
            for index in range(getattr(opened, "n_frames", 1)):
                opened.seek(index)
                frames.append(opened.convert("RGBA").tobytes())
            return b"".join(frames)
    return ffmpeg("-i", str(clip), "-f", "rawvideo", "-pix_fmt", "rgba", "-")


def stable(report: Path) -> bytes:
    """Return what two equal runs agree in, as sorted JSON."""
    return json.dumps(kept(json.loads(report.read_text("utf-8"))), sort_keys=True).encode()


def kept(part: object) -> object:
    """Drop unstable parts and every text that names a place."""
    if isinstance(part, dict):
        return {name: kept(value) for name, value in part.items() if name not in UNSTABLE}
    if isinstance(part, list):
        return [kept(value) for value in part]
    return Path(part).name if isinstance(part, str) and "/" in part else part


def vtg(folder: Path, *arguments: str) -> bytes:
    """Run one command in the folder; return its stdout."""
    if arguments[:2] == ("models", "delta"):
        arguments += ("--base", str(PARITY / "tiny_svd_base14"), "-o", "reverse.safetensors")
    arguments = tuple("reverse.safetensors" if each == "reverse" else each for each in arguments)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for name in ("VTG_MODEL", "HF_HUB_CACHE"):
        environment.pop(name, None)
    environment["HF_HOME"] = str(folder / "hub")  # whatever models this machine has
    command = [sys.executable, "-m", "vtg_cli", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"vtg {' '.join(arguments)} ended {done.returncode}: {done.stderr!r}")
    return done.stdout


def ffmpeg(*arguments: str) -> bytes:
    """Run ffmpeg; return its stdout."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout


if __name__ == "__main__":
    main()
