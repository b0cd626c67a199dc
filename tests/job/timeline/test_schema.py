"""The schema says the same to vtg and to any JSON Schema validator."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.keywords import Options
from vtg_cli.job.methods import Method
from vtg_cli.job.sampling import Sampling
from vtg_cli.job.timeline.schema import CLIP, SCHEMA, SEGMENT, Misfit, check

ROOT = Path(__file__).resolve().parents[3]
KEYS: dict[str, Any] = {"keyframe": [{"picture": "a"}, {"picture": "b", "at": 1}]}

VALID: list[dict[str, Any]] = [
    KEYS,
    {**KEYS, "fps": 24, "defaults": {}, "segment": [{}]},
    {**KEYS, "fps": "24000/1001", "width": 64, "alpha": False, "fit": "pad", "crf": 0},
    {"keyframe": [{"picture": "a", "at": "0f"}, {"picture": "b", "at": "0:01.5"}]},
    {**KEYS, "segment": [{"duration": "800ms", "prompt": "x"}]},
    {**KEYS, "segment": [{"duration": 1.5, "prompt": ["x", "y"], "guidance": [1, 3.5]}]},
    {**KEYS, "defaults": {"strength": 0.01, "steps": 1000, "seed": 2**63 - 1}},
    {**KEYS, "defaults": {"strength": 1, "steps": 10.0, "guidance": 100, "carry": True}},
]
INVALID: list[dict[str, Any]] = [
    {},
    {"keyframe": []},
    {"keyframe": [{"picture": "a"}]},
    {"keyframe": {"picture": "a"}},
    {"keyframe": [{"picture": "a"}, {"at": 1}]},
    {"keyframe": ["a", "b"]},
    {**KEYS, "segment": []},
    {**KEYS, "segments": [{}]},
    {**KEYS, "fps": True},
    {**KEYS, "fps": 0},
    {**KEYS, "fps": "24 fps"},
    {**KEYS, "width": 0},
    {**KEYS, "width": 64.5},
    {**KEYS, "alpha": "yes"},
    {**KEYS, "defaults": {"duration": 1}},
    {**KEYS, "defaults": []},
    {**KEYS, "segment": [{"strength": 1.5}]},
    {**KEYS, "segment": [{"strength": "1"}]},
    {**KEYS, "segment": [{"steps": 0}]},
    {**KEYS, "segment": [{"steps": True}]},
    {**KEYS, "segment": [{"method": "gii"}]},
    {**KEYS, "segment": [{"prompt": ["x"]}]},
    {**KEYS, "segment": [{"prompt": ["x", "y", "z"]}]},
    {**KEYS, "segment": [{"prompt": 3}]},
    {**KEYS, "segment": [{"guidance": [1, 101]}]},
    {**KEYS, "segment": [{"duration": -1}]},
    {**KEYS, "segment": [{"duration": "soon"}]},
    {**KEYS, "segment": [{"duration": "1" * 21}]},
    {**KEYS, "segment": [{"ease": 1}]},
    {**KEYS, "segment": [{"seed": 2**63}]},
]


def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


@pytest.mark.parametrize("document", VALID, ids=str)
def test_valid_for_both(document: dict[str, Any]) -> None:
    assert validator().is_valid(document)
    check(document)


@pytest.mark.parametrize("document", INVALID, ids=str)
def test_invalid_for_both(document: dict[str, Any]) -> None:
    assert not validator().is_valid(document)
    with pytest.raises(Misfit):
        check(document)


@pytest.mark.parametrize(
    ("document", "said", "hint"),
    [
        ({**KEYS, "segment": [{"esae": "x"}]}, "esae is no key of segment 1", "did you mean ease?"),
        ({**KEYS, "segments": []}, "segments is no key", "did you mean segment?"),
        (
            {**KEYS, "defaults": {"method": "tfr"}},
            f'method of defaults should be {" or ".join(get_args(Method))}, not "tfr"',
            "did you mean trf?",
        ),
        (
            {**KEYS, "segment": [{"strength": 1.5}]},
            "strength of segment 1 should be a number from 0.01 to 1, not 1.5",
            "",
        ),
        ({"keyframe": [{"at": 1}, {"picture": "b"}]}, "keyframe 1 has no picture", ""),
        ({}, "there is no keyframe", ""),
        ({"keyframe": []}, "keyframe should be 2 or more tables, 0 given", ""),
        (
            {**KEYS, "fps": "fast"},
            'fps should be a number from 0.001 to 1000 or a rate such as "24000/1001", not "fast"',
            "",
        ),
        (
            {**KEYS, "segment": [{"duration": {}}]},
            "duration of segment 1 should be a number from 0 to 86400 or a time such as "
            '"1.5s" or "36f", not a table',
            "",
        ),
    ],
)
def test_what_is_wrong_is_said(document: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(Misfit) as caught:
        check(document)
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_the_published_file_is_the_schema() -> None:
    script = ROOT / "scripts" / "gen_timeline_schema.py"
    spec = importlib.util.spec_from_file_location("gen_timeline_schema", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    published = (ROOT / "docs" / "timeline.schema.json").read_text(encoding="utf-8")
    assert module.text() == published
    assert json.loads(published) == SCHEMA


def test_a_segment_can_say_all_that_a_job_can() -> None:
    """But for what belongs to the clip or to its keyframes."""
    job = {f.name for f in fields(Interpolate)} | {f.name for f in fields(Sampling)}
    apart = {"keyframes", "frames", "at", "loop", "sampling", "encoding", "prompts"}
    assert job - apart == ({*SEGMENT, *CLIP} | {"duration"}) - {"prompt", "alpha", "crf"}
    assert ({*SEGMENT, *CLIP} - {"prompt"}) <= set(Options.__annotations__)
