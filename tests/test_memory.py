"""--memory from the command line to the report: what is chosen, said, kept and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vtg_cli import memory, renderers, tasks
from vtg_cli.backbones import base
from vtg_cli.backbones.base import Backbone
from vtg_cli.batch.worker import key_of
from vtg_cli.cli import main
from vtg_cli.errors import MemoryLadderError, UsageError
from vtg_cli.job import Interpolate
from vtg_cli.plan import Plan, plan
from vtg_cli.rungs import RUNGS, ran_out
from vtg_cli.sampling.settings import Sampling

SVD = Path(__file__).parent / "data" / "parity" / "tiny_svd"
NAMES = [rung.name for rung in RUNGS]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[:32, :48]
    for i in range(2):
        waves = [np.sin((x + 9 * i) / 5) + np.cos((y - 5 * i) / (4 + c)) for c in range(3)]
        Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(
            tmp_path / f"{'ab'[i]}.png"
        )
    monkeypatch.chdir(tmp_path)


def job(**more: Any) -> Interpolate:
    given: dict[str, Any] = {
        "model": str(SVD),
        "frames": (6,),
        "width": 32,
        "height": 32,
        "device": "cpu",
        "sampling": Sampling(method="trf", steps=1, renoise=0),
    }
    return Interpolate(keyframes=("a.png", "b.png"), **given | more)


def on_gpu(made: Plan, memory: Any = "auto", lora: str = "off") -> Plan:
    """The plan as it would be with a GPU."""
    model = replace(made.model, device="cuda")
    return replace(made, model=model, job=replace(made.job, memory=memory, lora=lora))


@contextmanager
def out_of_memory(monkeypatch: pytest.MonkeyPatch, calls: range) -> Iterator[None]:
    """The network of every model that is loaded fails at those calls, from 0 on."""
    done = 0
    plainly = renderers.loaded

    def spoilt(made: Plan) -> Backbone:
        m = plainly(made)
        forward = m.network.forward

        def failing(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done - 1 in calls:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(*args, **kwargs)

        object.__setattr__(m.network, "forward", failing)
        return m

    with monkeypatch.context() as patched:
        patched.setattr(
            tasks.render, "__kwdefaults__", tasks.render.__kwdefaults__ | {"load": spoilt}
        )
        yield


def test_a_named_rung_stands_alone() -> None:
    for name in NAMES:
        made = plan(job(memory=name))
        assert [rung.name for rung in memory.ladder(made)] == [name]
        assert memory.told(made) == name


def test_auto_goes_from_what_fits_to_the_last() -> None:
    """The expected peaks of the rungs themselves as the free memory."""
    made = on_gpu(plan(job()))
    peaks = [memory.needed_bytes(rung, made) for rung in RUNGS]
    assert peaks[1:] == sorted(peaks[1:], reverse=True) and peaks[1] > peaks[2] > peaks[-1]
    for rung, peak in zip(RUNGS, peaks, strict=True):
        assert memory.fits(rung, made, free=int(peak / memory.SPARE) + 1)
        assert not memory.fits(rung, made, free=int(peak / memory.SPARE) - 1)


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (10**15, ["full", "chunked", "offload", "sequential", "sequential", "tiny-vram"]),
        (None, ["full", "chunked", "offload", "sequential", "sequential", "tiny-vram"]),
        (0, ["tiny-vram"]),
    ],
)
def test_auto_on_a_gpu(
    free: int | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    made = on_gpu(plan(job()))
    rungs = memory.ladder(made)
    assert [rung.name for rung in rungs] == expected
    # as many frames at once as the model does by itself, but for the last two
    assert [rung.chunk for rung in rungs] == [None, None, None, None, 1, 1][-len(rungs) :]
    fitting = [rung.name for rung in memory.ladder(on_gpu(plan(job()), lora="fit"))]
    assert fitting == (["full", "chunked"] if free != 0 else ["chunked"])


def test_auto_on_a_cpu_does_what_was_always_done_there() -> None:
    made = plan(job())
    first = memory.ladder(made)[0]
    assert (first.name, first.one_by_one, first.chunk, first.weights) == (
        *("chunked", True, None),
        "here",
    )
    assert memory.told(made) == ("auto: chunked; offload, sequential, tiny-vram if memory runs out")


def test_weights_that_do_not_fit_the_device_stay_on_the_host() -> None:
    made = plan(job())
    asked: list[str] = []

    def load(device: str) -> Backbone:
        asked.append(device)
        if len(asked) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return base.load(SVD, device=device, dtype="fp32")

    ladder: Any = memory.loaded(made, load)
    assert len(asked) == 2 and ladder.tried == ("chunked", "offload")

    def never(device: str) -> Backbone:
        raise torch.OutOfMemoryError(device)

    for name, where in (("chunked", "cuda"), ("sequential", "cpu")):
        with pytest.raises(torch.OutOfMemoryError, match=where):  # and is not asked again
            memory.loaded(on_gpu(made, name), never)


@pytest.mark.parametrize("model", ["tiny", "flow"])
def test_models_without_a_ladder_take_full_alone(model: str) -> None:
    plan(job(model=model, memory="full", sampling=Sampling(), frames=(4,)))
    with pytest.raises(UsageError) as refusal:
        plan(job(model=model, memory="offload", sampling=Sampling(), frames=(4,)))
    said = {
        "tiny": "--memory means nothing to tiny",
        "flow": "--memory is for diffusion models, and the model is flow",
    }
    assert refusal.value.message == said[model]
    assert memory.told(plan(job(model=model, sampling=Sampling(), frames=(4,)))) == ""


def test_a_network_that_comes_and_goes_cannot_be_trained() -> None:
    for name in ("offload", "sequential", "tiny-vram"):
        with pytest.raises(UsageError) as refusal:
            plan(job(memory=name, lora="fit"))
        assert refusal.value.message == f"--memory {name} and --lora fit exclude each other"
    plan(job(memory="chunked", lora="fit"))


def test_an_unknown_rung_is_refused() -> None:
    with pytest.raises(UsageError, match="--memory small") as refusal:
        plan(job(memory="small"))
    assert refusal.value.exit_code == 2


def test_batches_know_a_clip_by_its_frames_not_by_the_memory_they_took() -> None:
    keys = {name: key_of(plan(job(memory=name)).job, ["0"], {}) for name in ("auto", *NAMES)}
    assert len({keys[name] for name in ("auto", *NAMES[:-1])}) == 1
    assert keys["tiny-vram"] != keys["auto"]


def command(*more: str) -> list[str]:
    asked = [
        "interpolate",
        "a.png",
        "b.png",
        "-o",
        "clip.mkv",
        "--model",
        str(SVD),
        "--frames",
        "6",
    ]
    asked += ["--width", "32", "--height", "32", "--method", "trf", "--steps", "1"]
    return [*asked, "--renoise", "0", "--endpoints", "model", *more]


def test_the_rung_is_in_the_dry_run(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(command("--dry-run", "--memory", "sequential")) == 0
    assert "memory    sequential\n" in capfd.readouterr().out
    assert main(command("--dry-run")) == 0
    assert "memory    auto: chunked; offload, " in capfd.readouterr().out


def test_it_says_where_it_ended_and_the_report_does_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with out_of_memory(monkeypatch, range(2)):
        assert main(command()) == 0
    assert "vtg: memory: sequential, after chunked, offload ran out\n" in capfd.readouterr().err
    found = json.loads(Path("clip.json").read_text())
    assert found["memory"] == ["chunked", "offload", "sequential"]
    assert found["job"]["memory"] == "auto"
    assert main(command("--memory", "full", "--overwrite")) == 0
    assert "vtg: memory: full\n" in capfd.readouterr().err
    found = json.loads(Path("clip.json").read_text())
    assert (found["memory"], found["job"]["memory"]) == (["full"], "full")


@pytest.mark.parametrize(
    ("asked", "rungs", "hint"),
    [
        ("auto", "chunked, offload, sequential, tiny-vram", ""),
        ("offload", "offload", ", --memory auto"),
        ("tiny-vram", "tiny-vram", ""),
    ],
)
def test_after_the_last_rung_it_ends_with_4(
    asked: str,
    rungs: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with out_of_memory(monkeypatch, range(99)):
        assert main(command("-q", "--memory", asked)) == 4
    assert capfd.readouterr().err == (
        f"vtg: out of memory on cpu: {SVD} at 32x32, at --memory {rungs}\n"
        f"     ask for less: --width and --height{hint}\n"
    )
    assert not Path("clip.mkv").exists() and not Path("clip.json").exists()


def test_the_error_carries_what_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with out_of_memory(monkeypatch, range(99)), pytest.raises(MemoryLadderError) as refusal:
        list(tasks.render(plan(job(memory="full"))))
    cause = refusal.value.__cause__
    assert cause is not None and isinstance(cause.__cause__, torch.OutOfMemoryError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_what_counts_as_running_out(error: Exception, expected: bool) -> None:
    assert ran_out(error) is expected
