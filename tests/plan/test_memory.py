"""--memory from the command line to the report: what is chosen, said, kept and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vtg_cli.backbones import base
from vtg_cli.backbones.base import Backbone
from vtg_cli.batch.item import Item
from vtg_cli.batch.store import Folder
from vtg_cli.batch.worker import Settings, Worker, key_of
from vtg_cli.cli import main
from vtg_cli.clips import stream
from vtg_cli.errors import MemoryLadderError, UsageError
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.cost import SPARE, on_device, predict
from vtg_cli.machine.hardware import Memory
from vtg_cli.machine.rungs import AWAY, NAMED, RUNGS, ran_out
from vtg_cli.media.clip import open_clip
from vtg_cli.media.encoding import Input
from vtg_cli.plan import memory
from vtg_cli.plan.plan import Plan
from vtg_cli.plan.segments import planned
from vtg_cli.render import draw

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
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
def out_of_memory(
    monkeypatch: pytest.MonkeyPatch, calls: range, part: str = "network"
) -> Iterator[None]:
    """A part of every model that is loaded fails at those calls, from 0 on."""
    done = 0
    plainly = memory.loaded

    def spoilt(made: Plan, load: Callable[[str], Backbone]) -> Backbone:
        m = plainly(made, load)
        module = attrgetter(part)(m)
        forward = module.forward

        def failing(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done - 1 in calls:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return forward(*args, **kwargs)

        object.__setattr__(module, "forward", failing)
        return m

    with monkeypatch.context() as patched:
        patched.setattr(memory, "loaded", spoilt)
        yield


def test_a_named_rung_stands_alone() -> None:
    for name in NAMES:
        made = planned(job(memory=name))
        assert [rung.name for rung in memory.ladder(made, room(0))] == [name]
        assert memory.told(made) == name


def room(free: float) -> Memory:
    return Memory(10**15, int(free))


def test_auto_goes_from_what_fits_to_the_last() -> None:
    """The expected peaks of the rungs themselves as the free memory; the latents are a window's."""
    made = on_gpu(planned(job()))
    peaks = [on_device(memory.work_of(made, rung)) for rung in RUNGS]
    assert peaks == sorted(peaks, reverse=True) and peaks[1] > peaks[2] > peaks[3]
    for rung, peak in zip(RUNGS, peaks, strict=True):
        assert memory.fits(rung, made, room(peak / SPARE + 1))
        assert not memory.fits(rung, made, room(peak / SPARE - 1))
    assert memory.ladder(made, room(peaks[2] / SPARE + 1))[0].name == "offload"


@pytest.mark.parametrize("free", [10**15, None, 0])
def test_auto_on_a_gpu(free: int | None) -> None:
    expected = [*NAMES[:4], *NAMES[3:]] if free != 0 else [NAMES[-1]]
    here = None if free is None else room(free)
    rungs = memory.ladder(on_gpu(planned(job())), here)
    assert [rung.name for rung in rungs] == expected
    # as many frames at once as the model does by itself, but for the last three
    assert [rung.chunk for rung in rungs] == [None, None, None, None, 1, 1, 1][-len(rungs) :]
    fitting = [rung.name for rung in memory.ladder(on_gpu(planned(job()), lora="fit"), here)]
    assert fitting == (["full", "chunked"] if free != 0 else ["chunked"])


def test_auto_on_a_cpu_does_what_was_always_done_there() -> None:
    made = planned(job())
    begin = memory.ladder(made, memory.room_of(made))[0]
    assert (begin.name, begin.one_by_one, begin.chunk, begin.weights) == (
        *("chunked", True, None),
        "here",
    )
    assert memory.told(made) == (
        "auto: chunked; offload, sequential, tiny-vram, tiled if memory runs out"
    )


def test_auto_on_a_cpu_begins_lower_only_where_it_would_be_refused() -> None:
    """Weights that are away are on the same CPU: what helps there is to compute less at once."""
    made = planned(job(width=512, height=512))
    rungs = memory.ladder(made, None)
    found = [predict([memory.work_of(made, rung)]) for rung in rungs]
    peaks = [each.memory for each in found]
    assert peaks[0] == peaks[1] == peaks[2] >= peaks[3] >= peaks[4] > peaks[5]
    for total, begin in ((peaks[0], 0), (peaks[4] - 2, 5), (0, 5)):
        here = Memory(int(total / found[0].memory_within) + 1, 0)
        assert memory.ladder(made, here) == rungs[begin:]


def test_weights_that_do_not_fit_the_device_stay_on_the_host() -> None:
    made = planned(job())
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
    planned(job(model=model, memory="full", sampling=Sampling(), frames=(4,)))
    with pytest.raises(UsageError) as refusal:
        planned(job(model=model, memory="offload", sampling=Sampling(), frames=(4,)))
    said = {
        "tiny": "--memory means nothing to tiny",
        "flow": "--memory is for diffusion models, and the model is flow",
    }
    assert refusal.value.message == said[model]
    assert memory.told(planned(job(model=model, sampling=Sampling(), frames=(4,)))) == ""


def test_a_network_that_comes_and_goes_cannot_be_trained() -> None:
    for name in AWAY:
        with pytest.raises(UsageError) as refusal:
            planned(job(memory=name, lora="fit"))
        assert refusal.value.message == f"--memory {name} and --lora fit exclude each other"
    planned(job(memory="chunked", lora="fit"))


def test_an_unknown_rung_is_refused() -> None:
    with pytest.raises(UsageError, match="--memory small") as refusal:
        planned(job(memory="small"))
    assert refusal.value.exit_code == 2


def test_batches_know_a_clip_by_its_frames_not_by_the_memory_they_took() -> None:
    keys = {name: key_of(planned(job(memory=name)).job, ["0"], {}) for name in ("auto", *NAMES)}
    same = [name for name in NAMES if NAMED[name].same_frames]
    assert len({keys[name] for name in ("auto", *same)}) == 1
    assert len({*keys.values()}) == 3  # tiny-vram and tiled


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
    found = json.loads(Path("clip.mkv.json").read_text())
    assert found["memory"] == ["chunked", "offload", "sequential"]
    assert found["job"]["memory"] == "auto"
    assert main(command("--memory", "full", "--overwrite")) == 0
    assert "vtg: memory: full\n" in capfd.readouterr().err
    found = json.loads(Path("clip.mkv.json").read_text())
    assert (found["memory"], found["job"]["memory"]) == (["full"], "full")


@pytest.mark.parametrize("part", ["image_encoder", "vae.encoder", "vae.decoder"])
def test_it_says_so_wherever_memory_ran_out(
    part: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with out_of_memory(monkeypatch, range(1), part):
        assert main(command("--decode-chunk", "2")) == 0
    assert "vtg: memory: offload, after chunked ran out\n" in capfd.readouterr().err
    assert json.loads(Path("clip.mkv.json").read_text())["memory"] == ["chunked", "offload"]


TIMELINE = """
output = "t.mkv"
width = 32
height = 32
[defaults]
model = "{model}"
method = "trf"
steps = 1
renoise = 0
[[keyframe]]
picture = "a.png"
at = 0
[[keyframe]]
picture = "b.png"
at = "2f"
"""
DRAWN = ("--model", str(SVD), "--steps", "1")


@pytest.fixture
def clips() -> None:
    """a.mkv and b.mkv, of two frames each."""
    for name, keys in (("a", ("a.png", "b.png")), ("b", ("b.png", "a.png"))):
        asked = ["interpolate", *keys, "-o", f"{name}.mkv", "--frames", "2", "--model", "flow"]
        assert main([*asked, "-q", "--width", "32", "--height", "32"]) == 0


@pytest.mark.parametrize(
    "asked",
    [
        ["slow", "a.mkv", "-o", "c.mkv", "--factor", "2", "--cuts", "ignore", *DRAWN],
        ["retime", "a.mkv", "-o", "c.mkv", "--fps", "48", "--cuts", "ignore", *DRAWN],
        ["bridge", "a.mkv", "b.mkv", "-o", "c.mkv", "--frames", "3", *DRAWN],
        ["render", "t.toml", "-o", "c.mkv"],
    ],
    ids=lambda asked: asked[0],
)
def test_every_command_that_draws_says_where_it_ended(
    asked: list[str],
    clips: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("t.toml").write_text(TIMELINE.format(model=SVD))
    capfd.readouterr()
    assert main([*asked, "--dry-run"]) == 0
    assert "memory    auto: chunked; offload, " in capfd.readouterr().out
    with out_of_memory(monkeypatch, range(2)):
        assert main(asked) == 0
    assert "vtg: memory: sequential, after chunked, offload ran out\n" in capfd.readouterr().err
    assert json.loads(Path("c.mkv.json").read_text())["memory"] == NAMES[1:4]
    assert main([*asked, "-q", "--overwrite"]) == 0
    assert capfd.readouterr().err == ""


def test_out_of_memory_between_frames_of_a_clip_names_the_rungs(
    clips: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["slow", "a.mkv", "-o", "c.mkv", "-q", "--memory", "offload", "--cuts", "ignore"]
    with out_of_memory(monkeypatch, range(99)):
        assert main([*asked, *DRAWN]) == 4
    assert capfd.readouterr().err == (
        f"vtg: out of memory on cpu: {SVD} at 32x32, at --memory offload\n"
        "     ask for less: --width and --height, --memory auto\n"
    )


def test_keyframes_of_a_pipe_too(clips: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip stands in for standard input, which is read alike."""
    piped = replace(job(output="c.mkv"), keyframes=("-",))
    with open_clip(Input(path="a.mkv")) as clip, out_of_memory(monkeypatch, range(1)):
        report = stream.save(stream.decided(piped, clip), clip)
    assert report["memory"] == ["chunked", "offload"]


def test_an_item_of_a_batch_says_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(Folder(tmp_path / "out"), Settings(str(tmp_path / "out")))
    with out_of_memory(monkeypatch, range(1)):
        outcome = worker.make(Item("x", job(output="x.mkv")))
    assert (outcome.state, [*outcome.memory]) == ("made", ["chunked", "offload"])
    assert [*worker.make(Item("x", job(output="x.mkv"))).memory] == []  # skipped


@pytest.mark.parametrize(
    ("asked", "rungs", "hint"),
    [
        ("auto", "chunked, offload, sequential, tiny-vram, tiled", ""),
        ("offload", "offload", ", --memory auto"),
        ("tiled", "tiled", ""),
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
    assert not Path("clip.mkv").exists() and not Path("clip.mkv.json").exists()


def test_the_error_carries_what_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with out_of_memory(monkeypatch, range(99)), pytest.raises(MemoryLadderError) as refusal:
        list(draw.render(planned(job(memory="full"))))
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
