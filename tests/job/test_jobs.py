"""A job survives JSON; a value that cannot be is refused by its option's or its field's name."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest

from vtg_cli.conditioning.text import text_curve
from vtg_cli.errors import UsageError
from vtg_cli.ground.literals import Solver, Stream
from vtg_cli.job.checks import validated
from vtg_cli.job.document import absent, from_json, to_json
from vtg_cli.job.easing import CURVES
from vtg_cli.job.jobs import (
    Bridge,
    Interpolate,
    Job,
    Retime,
    Timeline,
)
from vtg_cli.job.methods import METHODS
from vtg_cli.job.sampling import (
    Sampling,
)
from vtg_cli.media.encoding import Encoding, Input
from vtg_cli.media.formats import STREAMS
from vtg_cli.sampling.settings import SOLVER_CALLS

DATA = Path(__file__).parents[1] / "data"
PLAIN = Interpolate(keyframes=("a.png", "b.png"))
FULL = Interpolate(
    keyframes=("a.png", "ü b.png", "c.png"),
    output="clip.mp4",
    frames=(16, 24),
    duration=Fraction(13, 8),
    fps=Fraction(24000, 1001),
    loop=True,
    ease="cubic-bezier(0.1,-0.5,0.9,1.5)",
    carry=True,
    model="svd-xt",
    reverse="delta.safetensors",
    reverse_base="svd",
    prompts=("a lion", "a truck", "ü"),
    negative_prompt="",
    text_curve="hold",
    lora="folder",
    fast=True,  # which excludes quality
    compile=True,
    sampling=Sampling(
        method="gi",
        steps=30,
        solver="dpmpp_2m",
        schedule="ays",
        guidance=(1.0, 2.5),
        guidance_span=(0.25, 0.75),
        fusion="linear",
        rotate="first",
        init="slerp",
        init_until=0.3,
        strength=1.0,
        temperature=0.4,
        renoise=3,
        renoise_until=0.25,
        image_curve="ease",
        motion_fps=12,
        motion_bucket=60,
        noise_aug=0.1,
        reuse=3,
        seed=2**63 - 1,
    ),
    width=640,
    height=360,
    fit="pad",
    background="#102030",
    endpoints="blend",
    detail="keyframes",
    decode_chunk=4,
    memory="chunked",
    device="cuda:1",
    dtype="bf16",
    on_bad="retry",
    candidates=3,
    encoding=Encoding(crf=20, alpha=False, overwrite=True, sidecar=False, metadata=False),
)

NOISY = [name for name, row in METHODS.items() if row.eta]


RETIME = Retime(
    clip=Input(path="-", format="rawvideo", size=(64, 36), fps=Fraction(24000, 1001)),
    between=FULL,
    factor=Fraction(5, 2),
    fps=Fraction(60),
    audio="drop",
    cuts="ignore",
    duplicates="keep",
)
BRIDGE = Bridge(
    first=Input(path="a.mp4"),
    last=Input(path="b.mp4"),
    between=PLAIN,
    from_=Fraction(7, 2),
    to=Fraction(0),
    trim=3,
    copy="never",
    audio="drop",
)


def through_json(job: Job) -> Job:
    return from_json(json.loads(json.dumps(to_json(job))))


@pytest.mark.parametrize(
    "job", [PLAIN, FULL, RETIME, BRIDGE], ids=["plain", "full", "retime", "bridge"]
)
def test_a_job_comes_back_from_json_as_it_was(job: Interpolate) -> None:
    assert through_json(job) == job


def test_the_full_job_differs_from_the_plain_one_in_every_field() -> None:
    """So that the round trip above has seen each field with a value of its own."""
    for job, other in ((FULL, PLAIN), (FULL.sampling, PLAIN.sampling)):
        same = [f.name for f in fields(job) if getattr(job, f.name) == getattr(other, f.name)]
        excluded = ("at", "quality")  # by others
        assert [name for name in same if name not in excluded] == []


def test_times_of_keyframes_come_back_exactly() -> None:
    job = replace(PLAIN, at=(Fraction(0), Fraction(1001, 24000)))
    assert to_json(job)["at"] == ["0", "1001/24000"]
    assert through_json(job) == job


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": (5,)}, "--frames and keyframes with a time of their own exclude each other"),
        ({"duration": Fraction(2)}, "--duration and keyframes with a time"),
        ({"loop": True}, "--loop and keyframes with a time"),
        ({"at": (Fraction(0),) * 3}, "3 times for 2 keyframes"),
        ({"at": (Fraction(1), Fraction(2))}, "the first keyframe is at 1 s, and a clip begins"),
        ({"at": (Fraction(0), Fraction(0))}, "keyframe 2 is at 0 s, and the one before it at 0 s"),
    ],
)
def test_times_that_cannot_be(change: dict[str, Any], said: str) -> None:
    timed = replace(PLAIN, at=(Fraction(0), Fraction(1)))
    with pytest.raises(UsageError, match=re.escape(said)):
        validated(replace(timed, **change))


SEGMENT = Interpolate(keyframes=("a.png", "b.png"), frames=(5,), fps=Fraction(24))
NEXT = Interpolate(keyframes=("b.png", "c.png"), frames=(9,), fps=Fraction(24), model="tiny")
TIMELINE = Timeline(segments=(SEGMENT, NEXT), output="o.mp4", encoding=Encoding(crf=3))


def test_a_timeline_comes_back_from_json_as_it_was() -> None:
    document = json.loads(json.dumps(to_json(TIMELINE)))
    assert document["kind"] == "timeline"
    assert from_json(document) == TIMELINE
    assert TIMELINE.keyframes == ("a.png", "b.png", "c.png")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keyframes": ("x.png", "c.png")}, "segment 2: it has to begin with the keyframe the one"),
        ({"keyframes": ("b.png", "c.png", "d.png")}, "segment 2: it has two keyframes and one"),
        ({"frames": None}, "segment 2: it has two keyframes and one number of frames"),
        ({"fps": None}, "segment 2: it has a frame rate, and no output of its own"),
        ({"output": "x.mp4"}, "segment 2: it has a frame rate, and no output of its own"),
        ({"fps": Fraction(25)}, "segment 2: its fps is another than that of segment 1"),
        ({"width": 8}, "segment 2: its width is another than that of segment 1"),
        ({"ease": "fast"}, "segment 2: --ease fast is not a curve"),
    ],
)
def test_segments_that_do_not_fit_together(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        validated(replace(TIMELINE, segments=(SEGMENT, replace(NEXT, **change))))
    assert caught.value.message.startswith(said)


def test_a_timeline_without_segments_is_refused() -> None:
    with pytest.raises(UsageError, match="one segment or more"):
        validated(Timeline(segments=()))


def test_fractions_travel_as_text_and_the_kind_comes_first() -> None:
    document = to_json(FULL)
    assert next(iter(document)) == "kind"
    assert (document["kind"], document["fps"], document["duration"]) == (
        "interpolate",
        "24000/1001",
        "13/8",
    )


def changed(path: str, value: object) -> dict[str, Any]:
    document = json.loads(json.dumps(to_json(FULL)))
    *parents, name = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    place[name] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("frmaes", 3, "job.frmaes is not a field"),
        ("sampling.stepz", 3, "job.sampling.stepz is not a field"),
        ("kind", "morph", "job.kind 'morph' is not known"),
        ("keyframes", "a.png", "job.keyframes should be a list"),
        ("keyframes", ["a.png", 3], r"job.keyframes\[1\] should be text"),
        ("loop", 1, "job.loop should be true or false"),
        ("width", True, "job.width should be a whole number"),
        ("width", 3.5, "job.width should be a whole number"),
        ("fps", 24, "job.fps should be a fraction"),
        ("fps", "24/0", "job.fps should be a fraction"),
        ("fps", "2.5", "job.fps should be a fraction"),
        ("fit", "zoom", "job.fit should be crop or pad or stretch"),
        ("fit", ["crop"], "job.fit should be crop or pad or stretch"),
        ("sampling", None, "job.sampling should be an object"),
        ("sampling.guidance", [1.0], "job.sampling.guidance should be a list of 2"),
        ("sampling.guidance", [10**400, 1], r"job.sampling.guidance\[0\] should be a number"),
        ("fps", "9" * 5000, "job.fps should be a fraction"),
        ("sampling.noise_aug", "much", "job.sampling.noise_aug should be a number"),
        ("encoding.crf", "20", "job.encoding.crf should be a whole number"),
    ],
)
def test_a_field_that_is_off_is_named(path: str, value: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_json(changed(path, value))


def without(*paths: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(to_json(FULL)))
    for path in paths:
        place = document
        *parents, name = path.split(".")
        for parent in parents:
            place = place[parent]
        del place[name]
    return document


def test_a_field_without_a_default_is_named_where_it_is_missing() -> None:
    with pytest.raises(UsageError, match=r"^job\.keyframes is missing$"):
        from_json(without("keyframes"))


def test_a_document_older_than_a_field_has_its_default() -> None:
    document = without("ease", "sampling.seed", "encoding.sidecar")
    expected = replace(
        FULL,
        ease="linear",
        sampling=replace(FULL.sampling, seed=0),
        encoding=replace(FULL.encoding, sidecar=True),
    )
    assert from_json(document) == expected
    assert absent(document) == ["ease", "sampling.seed", "encoding.sidecar"]
    assert absent(to_json(FULL)) == []


def test_a_document_of_a_job_before_later_fields_is_read() -> None:
    """What a report held before fields were added to it; the fields since have their defaults."""
    document = json.loads((DATA / "job_oldest.json").read_text(encoding="utf-8"))
    job = from_json(document)
    assert (job.keyframes, job.sampling.method) == (("a.png", "b.png"), "gi")
    again = to_json(job)
    for name, value in document.items():  # what it said, it still says
        if not isinstance(value, dict):
            assert again[name] == value
        else:
            assert {key: again[name][key] for key in value} == value
    given = [*absent(document)]
    for name in given:  # what it did not say is as in a plain job
        inside, plain = job, PLAIN
        for part in name.split("."):
            inside, plain = getattr(inside, part), getattr(plain, part)
        assert inside == plain


@pytest.mark.parametrize("document", [None, [], "job", 3, {}, {"kind": []}, {"kind": {}}])
def test_what_is_no_job_at_all_is_refused(document: object) -> None:
    with pytest.raises(UsageError, match="job"):
        from_json(document)


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"keyframes": ("a.png",)}, "keyframes"),
        ({"keyframes": ("a.png",), "loop": True}, "keyframes"),
        ({"frames": (1,)}, "--frames"),
        ({"frames": (200_000,)}, "--frames"),
        ({"fps": Fraction(0)}, "--fps"),
        ({"fps": Fraction(1001)}, "--fps"),
        ({"duration": Fraction(-1)}, "--duration"),
        ({"ease": "fast"}, "--ease"),
        ({"width": 0}, "--width"),
        ({"height": 20_000}, "--height"),
        ({"fit": "zoom"}, "--fit"),
        ({"endpoints": "exactly"}, "--endpoints"),
        ({"dtype": "fp8"}, "--dtype"),
        ({"device": "gpu"}, "--device"),
        ({"device": "cuda:x"}, "--device"),
        ({"decode_chunk": 0}, "--decode-chunk"),
        ({"background": "whitish"}, "--background"),
        ({"background": "#12"}, "--background"),
        ({"reverse_base": "svd"}, "--reverse-base"),
        ({"prompts": ("a", "b", "c")}, "--prompt"),
        ({"text_curve": "fast"}, "--text-curve"),
        ({"text_curve": "off"}, "--text-curve"),
        ({"lora": "fit", "fast": True}, "--fast"),
        ({"quality": True, "fast": True}, "--quality"),
        ({"quality": True, "sampling": Sampling(reuse=2)}, "--quality"),
        ({"encoding": Encoding(overwrite=True, skip_existing=True)}, "--overwrite"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_option(
    change: dict[str, Any], option: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        validated(replace(PLAIN, **change))
    assert refusal.value.subject == option
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"method": "magic"}, "--method"),
        ({"solver": "euller"}, "--solver"),
        *[
            ({"solver": "heun", "method": name}, "--solver")
            for name, row in METHODS.items()
            if row.eta
        ],
        ({"solver": "lcm", "method": "tvg"}, "--solver"),
        ({"solver": "lcm", "method": "di"}, "--solver"),
        ({"solver": "lcm", "init": "slerp"}, "--solver"),
        ({"schedule": "lmc"}, "--schedule"),
        ({"method": "di", "init": "random"}, "--init"),
        ({"method": "di", "init": "slerp", "init_until": 0.5}, "--init-until"),
        ({"method": "di", "strength": 0.5}, "--strength"),
        ({"fusion": "max"}, "--fusion"),
        ({"fusion": ""}, "--fusion"),
        ({"fusion": "1,"}, "--fusion"),
        ({"fusion": "0.5,1.1"}, "--fusion"),
        ({"fusion": "nan"}, "--fusion"),
        ({"rotate": "none"}, "--rotate"),
        ({"image_curve": "fast"}, "--image-curve"),
        ({"motion_fps": 0}, "--motion-fps"),
        ({"reuse": 0}, "--reuse"),
        ({"reuse": 2, "solver": "heun"}, "--reuse"),
        ({"schedule": "linear"}, "--schedule"),
        ({"guidance_span": (0.5, 0.5)}, "--guidance-span"),
        ({"guidance_span": (0.0, 1.1)}, "--guidance-span"),
        ({"init": "noise"}, "--init"),
        ({"init": "random", "strength": 0.5}, "--strength"),
        ({"init": "slerp", "strength": 0.5}, "--strength"),
        ({"init": "flow", "init_until": 0.5}, "--init-until"),
        ({"init": "slerp", "init_until": 1.5}, "--init-until"),
        ({"steps": 0}, "--steps"),
        ({"renoise": -1}, "--renoise"),
        ({"renoise_until": 1.5}, "--renoise-until"),
        ({"motion_bucket": 256}, "--motion-bucket"),
        ({"noise_aug": float("nan")}, "--noise-aug"),
        ({"guidance": (1.0, float("inf"))}, "--guidance"),
        ({"seed": -1}, "--seed"),
        ({"seed": 2**63}, "--seed"),
    ],
)
def test_a_sampling_choice_that_cannot_be_is_refused_by_its_option(
    change: dict[str, Any], option: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        validated(replace(PLAIN, sampling=replace(Sampling(), **change)))
    assert refusal.value.subject == option


def test_the_words_of_options_are_those_the_code_knows() -> None:
    """Help and checks read literals; what runs reads tables. They must not drift apart."""
    assert set(get_args(Solver)) == set(SOLVER_CALLS)
    assert set(get_args(Stream)) == set(STREAMS)
    for name in ("hold", *CURVES, "cubic-bezier(0,0,1,1)"):
        assert text_curve(name, 5).shape == (5,)
        validated(replace(PLAIN, text_curve=name))
        validated(replace(PLAIN, sampling=Sampling(image_curve=name)))
    for weight in ("mean", "linear", "0", "0.4", "1,0.8,0"):
        validated(replace(PLAIN, sampling=Sampling(fusion=weight)))


def test_a_near_miss_is_guessed() -> None:
    with pytest.raises(UsageError) as refusal:
        validated(replace(PLAIN, sampling=Sampling(solver="euller")))
    assert "did you mean euler?" in refusal.value.hint


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (replace(RETIME, factor=Fraction(0)), "--factor 0 is out of range"),
        (replace(RETIME, duration=Fraction(1)), "--factor and --duration both say"),
        (replace(RETIME, between=replace(PLAIN, fit="no")), "--fit no is not known"),
        (replace(BRIDGE, trim=-1), "--trim -1 is out of range"),
        (replace(BRIDGE, copy="always"), "--copy always is not known"),
        (replace(BRIDGE, first=Input(path="-"), last=Input(path="-")), "can be one of the clips"),
    ],
)
def test_a_job_of_clips_that_cannot_be_is_refused(job: Job, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        validated(job)
