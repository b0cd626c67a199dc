"""The plan before the work, held against machines that are made up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtg_cli.backbones.base import models
from vtg_cli.errors import MediaError, MemoryLadderError, WeightsError
from vtg_cli.flow.rates import FLOW
from vtg_cli.job.keywords import job_of
from vtg_cli.machine.cost import on_device
from vtg_cli.machine.hardware import Memory
from vtg_cli.machine.rungs import RUNGS
from vtg_cli.plan import needs
from vtg_cli.plan.memory import first, work_of
from vtg_cli.plan.needs import Machine, checked, document, rounded
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import planned
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
PLENTY = Machine(memory=Memory(10**12, 10**12), gpu=None, disk=10**12, cores=1)


def plan_of(folder: Path, model: str = "flow", height: int = 36, **options: object) -> Plan:
    keys = [str(folder / f"{name}.png") for name in "ab"]
    for key in keys:
        Image.fromarray(np.full((height, 64, 3), 90, np.uint8)).save(key)
    given = {"frames": 8, "output": str(folder / "clip.mp4"), "model": model, **options}
    return planned(job_of(keys, given))  # type: ignore[arg-type]


def with_memory(total: float, free: float | None = None) -> Machine:
    return replace(PLENTY, memory=Memory(int(total), int(total if free is None else free)))


def test_what_fits_is_passed_without_a_word(tmp_path: Path) -> None:
    found = checked(plan_of(tmp_path), PLENTY)
    assert (found.notes, found.weights, found.whole, found.takes) == ((), (), True, 1)
    assert found.volume == round(8 * 36 * 64 * 0.12)


def test_far_too_little_memory_is_refused_before_anything(tmp_path: Path) -> None:
    made = plan_of(tmp_path, "tiny")
    needed = checked(made, PLENTY).cost
    with pytest.raises(MemoryLadderError) as failed:
        checked(made, with_memory(needed.memory / needed.memory_within - 1e6))
    assert failed.value.message == (
        "tiny at 64x36 needs about 336 MB of memory, and this machine has 257 MB"
    )
    assert failed.value.hint == (
        "ask for a smaller --width, or fewer --frames from one keyframe to the next"
    )
    assert failed.value.exit_code == 4
    assert failed.value.__cause__ is None  # vtg batch does not try such an item again


def test_a_model_with_a_ladder_can_go_down_it(tmp_path: Path) -> None:
    for rung, less in (("auto", ""), ("tiled", ""), ("full", ", or --memory auto")):
        with pytest.raises(MemoryLadderError) as failed:
            checked(plan_of(tmp_path, str(SVD), memory=rung), with_memory(1e8))
        assert failed.value.hint == (
            "ask for a smaller --width, or fewer --frames from one keyframe to the next"
            f"{less}; --model tiny and flow need little"
        )
    with pytest.raises(MemoryLadderError) as failed:
        checked(plan_of(tmp_path, str(SVD), decode_chunk=6), with_memory(1e8))
    assert ", or a smaller --decode-chunk; --model tiny" in failed.value.hint


def test_little_memory_is_said(tmp_path: Path) -> None:
    made = plan_of(tmp_path)
    (note,) = checked(made, with_memory(1e12, 5e7)).notes
    assert note == (
        "note: flow at 64x36 needs about 88 MB of memory, and 50 MB are free on this machine: "
        "it may not fit"
    )


def test_the_gpu_has_a_memory_of_its_own(tmp_path: Path) -> None:
    made = plan_of(tmp_path, str(SVD))
    made = replace(made, model=replace(made.model, device="cuda"))
    full, last = (replace(made, job=replace(made.job, memory=name)) for name in ("full", "tiled"))
    plenty = replace(PLENTY, gpu=Memory(10**12, 10**12))
    most, least = (checked(each, plenty).cost.gpu or 0 for each in (full, last))
    found = checked(made, plenty)
    assert (found.cost.basis, found.cost.gpu) == ("estimated, unmeasured", most)
    # auto: between the two, without a word, and what is predicted is the rung it begins at
    between = (most + least) // 2
    found = checked(made, replace(PLENTY, gpu=Memory(between, between)))
    assert found.notes == () and least <= (found.cost.gpu or 0) <= between
    rung = first(made, Memory(between, between))
    assert found.rungs == (rung.name,) and rung.name not in ("full", "tiled")
    assert found.cost.gpu == on_device(work_of(made, rung))
    with pytest.raises(MemoryLadderError, match=r"of memory, and the GPU has 1 MB"):
        checked(full, replace(PLENTY, gpu=Memory(10**6, 10**6)))
    with pytest.raises(MemoryLadderError, match=r"of memory, and the GPU has 0 bytes"):
        checked(made, replace(PLENTY, gpu=Memory(0, 0)))
    work = work_of(made, RUNGS[0])
    assert (work.batch, work.terms) == (2, 2)  # directions, with and without guidance
    assert work_of(plan_of(tmp_path, str(SVD)), RUNGS[0]).terms == 1  # in turn on a CPU


def test_a_disk_that_cannot_hold_the_clip(tmp_path: Path) -> None:
    made = plan_of(tmp_path, output=str(tmp_path / "clip.mov"))
    volume = 8 * 36 * 64 * 0.6
    with pytest.raises(MediaError) as failed:
        checked(made, replace(PLENTY, disk=int(volume / 2) - 1))
    assert failed.value.message == (
        f"{tmp_path / 'clip.mov'} will take about 11 kB, and its disk has 6 kB free"
    )
    assert failed.value.hint == "free some space, or write it to another disk"
    assert failed.value.exit_code == 7
    (note,) = checked(made, replace(PLENTY, disk=int(volume / 2) + 1)).notes
    assert note == (f"note: {tmp_path / 'clip.mov'} may take 11 kB, and its disk has 6 kB free")
    assert checked(plan_of(tmp_path, output="-", format="y4m"), PLENTY).volume is None


def test_every_format_of_files_has_a_volume() -> None:
    from vtg_cli.media.formats import FILES

    assert {form.name for form in FILES.values()} == set(needs.VOLUME)


def test_weights_are_counted_and_damaged_ones_refused(tmp_path: Path) -> None:
    (found,) = (w for w in checked(plan_of(tmp_path, str(SVD)), PLENTY).weights)
    files = [file for file in SVD.rglob("*") if file.is_file()]
    read = [f for f in files if "feature_extractor" not in f.parts and "index" not in f.name]
    assert (found.name, found.licence) == (str(SVD), None)
    assert found.files - 1 == len(read)  # and model_index.json
    shutil.copytree(EMBEDDED_FOLDER, tmp_path / "mine")
    file = tmp_path / "mine" / "network.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=f"{file} is damaged: it has"):
        checked(plan_of(tmp_path, str(tmp_path / "mine")), PLENTY)


def test_work_is_what_the_plan_says(tmp_path: Path) -> None:
    made = plan_of(tmp_path, str(SVD), steps=3)
    work = work_of(made, RUNGS[1])
    assert (work.device, work.segments, work.drawn) == ("cpu", (8,), (6,))
    assert work.rates is models()["svd"].rates
    assert (work.evaluations, work.singles) == (made.evaluations, 0)
    assert (work.size, work.canvas) == (made.shape[:2], made.drawn)
    assert work.model is not None and (work.model.factor, work.model.decoded) == (4, 8)
    halves = work_of(plan_of(tmp_path, str(SVD), dtype="fp16"), RUNGS[1]).model
    assert halves is not None  # the autoencoder stays in single precision
    assert work.model.bytes - halves.bytes == 2 * (work.model.core + work.model.rest)
    flow = work_of(plan_of(tmp_path), RUNGS[1], (5, 5, 5))
    assert (flow.rates, flow.segments, flow.model) == (FLOW, (5, 5, 5), None)


def test_retries_are_told_and_not_counted(tmp_path: Path) -> None:
    usual = checked(plan_of(tmp_path, "tiny"), PLENTY)
    more = checked(plan_of(tmp_path, "tiny", on_bad="retry", candidates=3), PLENTY)
    assert (usual.takes, more.takes) == (1, 3)
    assert more.cost == usual.cost


def test_the_document_has_plain_numbers(tmp_path: Path) -> None:
    found = checked(plan_of(tmp_path), PLENTY)
    assert document(found) == {
        "memory_bytes": rounded(found.cost.memory),
        "gpu_memory_bytes": None,
        "memory_within": 1.3,
        "rungs": [],
        "seconds": rounded(found.cost.seconds),
        "seconds_within": 2.0,
        "takes_at_most": 1,
        "basis": "fitted",
        "output_bytes": 2200,
        "output_within": 8.0,
        "machine": {
            "memory_bytes": 10**12,
            "memory_free_bytes": 10**12,
            "gpu_memory_bytes": None,
            "disk_free_bytes": 10**12,
            "cores": 1,
        },
        "weights": [],
        "notes": [],
    }


@pytest.mark.parametrize(
    ("value", "to"), [(0.1234, 0.12), (3.06, 3.1), (10.0, 10), (128, 130), (5_585_240, 5_600_000)]
)
def test_two_figures(value: float, to: float) -> None:
    assert rounded(value) == to
