"""Values of options, names and captions that no person would type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fuzzing import cases, command, hold
from mutators import hostile
from PIL import Image

from vtg_cli.batch.naming import filled
from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.job import easing, shorthand, times
from vtg_cli.job.checks import validated
from vtg_cli.job.document import from_json, to_json
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.keywords import job_of
from vtg_cli.media import encoding
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.image import colour, read_image
from vtg_cli.weights import store
from vtg_cli.weights.catalog import place_of

VALUES = {
    "--fps": "24000/1001",
    "--frames": "16,24",
    "--duration": "00:00:01.5",
    "--width": "64",
    "--height": "48",
    "--ease": "cubic-bezier(0.1,0.2,0.3,1)",
    "--background": "#ff8000",
    "--crf": "20",
    "--seed": "7",
    "--steps": "20",
    "--guidance": "1,3",
    "--guidance-span": "0.2,0.8",
    "--fusion": "1,0.8,0",
    "--strength": "0.5",
    "--model": "flow",
    "--prompt": "a lion",
    "--negative-prompt": "blurry",
    "--text-curve": "linear",
    "--fit": "crop",
    "--method": "gi",
    "--device": "cpu",
    "--lora": "off",
    "--memory": "auto",
    "--decode-chunk": "2",
    "-o": "clip.mp4",
}
"""Options of `vtg interpolate`, each with a value that is right."""


@pytest.mark.parametrize(
    ("name", "right", "parse"),
    [
        ("fps", "24000/1001", times.parse_fps),
        ("duration", "00:01:30.5", times.parse_duration),
        ("frames", "16,24,16", times.parse_frames),
        ("time", "1.2s", shorthand.parse_time),
        ("ease", "cubic-bezier(0.1,0.2,0.3,1)", easing.easing),
        ("background", "hsl(120, 50%, 50%)", colour),
        ("keyframe", "a.jpg@1.2s", lambda text: shorthand.split(["a.png@0", text])),
        ("model", "some/model/unet", store.resolve),
        ("hub name", "some/model/unet", place_of),
        ("output", "x/clip_%04d.png", lambda text: encoding.check(text, Encoding())),
        ("template", "{index:04}_{name}.mp4", lambda text: named(text, "one")),
        ("item", "one", lambda text: named("{name}_{first}.mp4", text)),
        ("picture", "a.png", read_image),
    ],
)
@cases(10)
def test_words(
    name: str,
    right: str,
    parse: Callable[[str], Any],
    numbers: range,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)

    def read(text: str) -> None:
        value = parse(text)
        if name == "ease":
            steps = easing.segment_times(9, value)
            assert steps[0] == 0 and steps[-1] == 1 and all(0 <= step <= 1 for step in steps)

    hold(name, numbers, lambda rng: several(rng, right), read, tmp_path)


def several(rng: Random, right: str) -> str:
    """The right text with one or two things done to it."""
    text = hostile(rng, near=right)
    return hostile(rng, near=text) if text and rng.random() < 0.3 else text


def named(template: str, name: str) -> str:
    return filled(template, name, 1, Interpolate(keyframes=("a.png", "b.png"), output="x.mp4"))


@cases()
def test_jobs(numbers: range, tmp_path: Path) -> None:
    """What is valid survives the way through JSON; what is not is refused."""
    right = {flag[2:].replace("-", "_"): text for flag, text in VALUES.items() if flag != "-o"}
    right["prompts"] = right.pop("prompt")
    numeric = {"width", "height", "crf", "seed", "steps", "strength", "decode_chunk"}

    def make(rng: Random) -> dict[str, object]:
        options: dict[str, object] = {}
        for name in rng.sample(sorted(right), 3):
            if name in numeric:
                options[name] = rng.choice((0, 1, -1, 8, 50, 10**9, 2**63, 10**400, 0.5, 1e308))
            else:
                options[name] = several(rng, right[name])
        return options

    def read(options: dict[str, object]) -> None:
        job = validated(job_of(["a.png", "b.png"], options))  # type: ignore[arg-type]
        assert from_json(to_json(job)) == job

    hold("job", numbers, make, read, tmp_path)


@cases(40)
def test_command_lines(numbers: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name, tint in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (20, 12), tint).save(tmp_path / name)
    folder = tmp_path / "case"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def make(rng: Random) -> list[str]:
        words = ["interpolate", "../a.png", "../b.png", "--dry-run"]
        for flag in rng.sample(sorted(VALUES), 3):
            right = VALUES[flag]
            words += [flag, several(rng, right) if rng.random() < 0.6 else right]
        if rng.random() < 0.3:
            words[rng.randrange(1, 3)] += rng.choice(("@", "@1.2s", "@" + hostile(rng)))
        if "-o" not in words:
            words += ["-o", "clip.mp4"]
        return [word if is_typed(word) else "x" for word in words]

    hold("command line", numbers, make, command, folder)


def is_typed(word: str) -> bool:
    """Whether a shell can pass it on: no half of a surrogate pair, no zero byte."""
    return "\0" not in word and not any("\ud800" <= each < "\udc80" for each in word)


@pytest.mark.parametrize("parse", [times.parse_fps, times.parse_duration, shorthand.parse_time])
@pytest.mark.parametrize("text", ["9" * 5000, "0." + "9" * 5000, "1/" + "9" * 5000])
def test_numbers_too_long_to_read(parse: Callable[[str], object], text: str) -> None:
    """Python itself refuses to read them, with a ValueError."""
    with pytest.raises(UsageError):
        parse(text)


def test_names_too_long_for_a_folder() -> None:
    with pytest.raises(UsageError, match="no model called"):
        store.resolve("a" * 300)
    with pytest.raises(UsageError, match="no suffix"):
        encoding.check("a" * 300, Encoding())
    with pytest.raises(WeightsError, match="no model folder ~nobody/x/y"):
        store.resolve("~nobody/x/y")


def test_fields_that_would_fill_the_memory() -> None:
    with pytest.raises(UsageError, match="wider than any file name"):
        named("{index:9999999999}.mp4", "one")
    assert named("{index:0999}.mp4", "one") == f"{1:0999}.mp4"
