"""Jobs end to end with the embedded model and with renderers of our own, in numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from reading import read_video

from vtg_cli import interpolate
from vtg_cli.backbones import footprint
from vtg_cli.errors import (
    Interrupted,
    MediaError,
    MemoryLadderError,
    UsageError,
    VtgError,
    WeightsError,
)
from vtg_cli.flow.engine import in_between
from vtg_cli.ground.tensor import to_pixels
from vtg_cli.ground.units import size_text
from vtg_cli.job.jobs import Interpolate
from vtg_cli.job.sampling import Sampling
from vtg_cli.machine.cost import SPARE, U_NET, Work, on_device
from vtg_cli.machine.hardware import Memory
from vtg_cli.machine.rungs import RUNGS, Rung
from vtg_cli.media.encoding import Encoding
from vtg_cli.media.image import fit, read_image
from vtg_cli.plan import model as models_of
from vtg_cli.plan.segments import planned
from vtg_cli.render import draw
from vtg_cli.render import report as reports
from vtg_cli.render.draw import Rendering
from vtg_cli.render.segments import Cancel, Frames, Progress, Renderer
from vtg_cli.render.summary import summary
from vtg_cli.weights.catalog import EMBEDDED_FOLDER

Pixels = NDArray[np.uint8]


def picture(shift: int, height: int = 32, width: int = 48, channels: int = 3) -> Pixels:
    """Smooth, different in every channel and place, so that a mixed-up frame is seen."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + shift) / (5 + c)) + np.cos((y - shift) / (4 + c)) for c in range(channels)]
    return (np.stack(waves, -1) * 60 + 128).astype(np.uint8)


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies on this machine, --model auto finds an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Four different pictures as files."""
    names = []
    for i in range(4):
        names.append(str(tmp_path / f"key{i}.png"))
        Image.fromarray(picture(7 * i)).save(names[-1])
    return names


def job(keyframes: Sequence[str], **more: object) -> Interpolate:
    return Interpolate(keyframes=tuple(keyframes), model="flow", **more)  # type: ignore[arg-type]


def crossfade(
    first: Pixels, last: Pixels, times: Sequence[float], progress: Progress, cancel: Cancel
) -> Frames:
    """A renderer of known numbers."""
    t = np.asarray(times)[:, None, None, None]
    progress(0.5, "fading")
    return np.round((1 - t) * first + t * last).astype(np.uint8)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize(
    ("count", "frames", "renderer"),
    [
        (3, (2, 4), None),  # flow itself
        (2, (5,), crossfade),
        (3, (4,), crossfade),
        (4, (3, 2, 4), crossfade),
        (4, (2,), crossfade),
    ],
)
def test_every_keyframe_appears_once_at_its_place_bit_for_bit(
    keys: list[str], count: int, frames: tuple[int, ...], renderer: Renderer | None, loop: bool
) -> None:
    if loop and len(frames) > 1:
        frames = (*frames, 3)
    rendering = draw.render(planned(job(keys[:count], frames=frames, loop=loop)), renderer=renderer)
    clip = np.stack([*rendering])
    assert len(clip) == rendering.plan.schedule.total
    for name, at in zip(keys, rendering.plan.schedule.positions, strict=False):
        equal = [i for i, frame in enumerate(clip) if np.array_equal(frame, read_image(name))]
        assert equal == [at]


@pytest.mark.parametrize("output", ["clip.mkv", "out/%04d.png"])
def test_a_lossless_file_holds_the_fitted_keyframes(
    keys: list[str], tmp_path: Path, output: str
) -> None:
    target = str(tmp_path / output)
    report = draw.run(job(keys[:3], frames=(2, 3), width=40, height=36, output=target)).save()
    if output.endswith(".mkv"):
        clip, fps = read_video(target)
        assert fps == 24
    else:
        clip = np.stack([read_image(file) for file in sorted((tmp_path / "out").glob("*.png"))])
    assert len(clip) == report["clip"]["frames"] == 4
    for name, at in zip(keys, report["clip"]["keyframes_at"], strict=False):
        assert np.array_equal(clip[at], fit(read_image(name), 36, 40, "crop"))


def test_the_eased_times_reach_the_renderer(keys: list[str]) -> None:
    asked: list[Sequence[float]] = []

    def renderer(first: Pixels, last: Pixels, times: Sequence[float], *rest: object) -> Frames:
        asked.append(times)
        return crossfade(first, last, times, *rest)  # type: ignore[arg-type]

    made = planned(job(keys[:3], frames=(3, 5), ease="ease-in"))
    assert len([*draw.render(made, renderer=renderer)]) == 7
    # ease-in at one half, by the closed form of its cubic: 0.31536 (brentq in test_timing)
    assert asked[0] == pytest.approx([0, 0.31536, 1], abs=1e-4)
    assert [len(times) for times in asked] == [3, 5]
    assert (asked[1][0], asked[1][-1]) == (0.0, 1.0)


def test_one_segment_is_drawn_at_a_time_and_only_when_its_frames_are_taken(
    keys: list[str],
) -> None:
    drawn: list[int] = []

    def renderer(first: Pixels, last: Pixels, times: Sequence[float], *rest: object) -> Frames:
        drawn.append(len(times))
        return crossfade(first, last, times, *rest)  # type: ignore[arg-type]

    frames = iter(draw.render(planned(job(keys[:3], frames=(3, 5))), renderer=renderer))
    assert drawn == []
    next(frames), next(frames)
    assert drawn == [3]
    next(frames)
    assert drawn == [3, 5]


@pytest.mark.parametrize("endpoints", ["exact", "model"])
def test_endpoints_pin_the_keyframes_or_leave_the_model_be(keys: list[str], endpoints: str) -> None:
    def darker(first: Pixels, last: Pixels, times: Sequence[float], *rest: object) -> Frames:
        return crossfade(first // 2, last // 2, times, *rest)  # type: ignore[arg-type]

    made = planned(job(keys[:2], frames=(5,), endpoints=endpoints))
    rendering = draw.render(made, renderer=darker)
    clip = [*rendering]
    first, last = read_image(keys[0]), read_image(keys[1])
    divisor = 1 if endpoints == "exact" else 2
    assert np.array_equal(clip[0], first // divisor)
    assert np.array_equal(clip[-1], last // divisor)
    # The report tells how far the model's own ends were off, before pinning: plain PSNR.
    error = np.mean((first.astype(float) - first // 2) ** 2)
    expected = 10 * np.log10(255**2 / error)
    assert rendering.report.anchors[0].endpoint_psnr_first == pytest.approx(expected, abs=1e-6)


def test_progress_only_grows_and_ends_at_one(keys: list[str]) -> None:
    told: list[tuple[float, str]] = []
    clip = draw.run(
        job(keys[:3], frames=(4,)), progress=lambda share, phase: told.append((share, phase))
    )
    assert len([*clip]) == 7
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    phases = list(dict.fromkeys(phase for _, phase in told))
    steps = ["drawing 1 of 2", "writing 1 of 2", "drawing 2 of 2", "writing 2 of 2"]
    assert phases == ["loading flow", *steps, "finishing"]


def test_cancelling_stops_and_leaves_no_file(keys: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    asked_for = job(keys[:2], frames=(30,), output=str(folder / "clip.mp4"))
    with pytest.raises(Interrupted) as stop:
        draw.run(asked_for, cancel=cancel).save()
    assert stop.value.exit_code == 130
    assert [*folder.iterdir()] == []


def test_running_out_of_memory_is_said_in_one_way(keys: list[str]) -> None:
    import torch

    errors: list[Exception] = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")]
    errors.append(RuntimeError("DefaultCPUAllocator: can't allocate memory"))

    def greedy(*_: object) -> Frames:
        raise errors[-1]

    while errors:
        with pytest.raises(MemoryLadderError, match="on cpu: flow at 48x32") as refusal:
            list(draw.render(planned(job(keys[:2])), renderer=greedy))
        assert refusal.value.exit_code == 4
        assert refusal.value.__cause__ is errors.pop()


def test_a_segment_no_machine_could_hold_is_refused_before_anything_is_drawn(
    keys: list[str],
) -> None:
    # 3.5 bytes a pixel and frame (vtg_cli/machine/cost.py): 1.5 TB
    with pytest.raises(MemoryLadderError, match=r"flow at 2048x2048 needs about 1468\.\d GB of"):
        draw.run(job(keys[:2], frames=(100_000,), width=2048, height=2048))


def test_other_failures_of_a_renderer_pass_through(keys: list[str]) -> None:
    def broken(*_: object) -> Frames:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        list(draw.render(planned(job(keys[:2])), renderer=broken))


DATA = Path(__file__).parents[1] / "data" / "parity"
QUICK = Sampling(steps=2, renoise=1, renoise_until=0.5)


def diffusion_job(keys: Sequence[str], **more: object) -> Interpolate:
    """A job for the recordings' tiny model: 6 frames, seconds on a CPU."""
    tiny: dict[str, object] = {
        "model": str(DATA / "tiny_svd"),
        "device": "cpu",
        "sampling": QUICK,
        "width": 24,
        "height": 16,
    }
    return replace(job(keys), **{**tiny, **more})  # type: ignore[arg-type]


def with_reverse() -> dict[str, str]:
    return {
        "reverse": str(DATA / "tiny_svd_reverse"),
        "reverse_base": str(DATA / "tiny_svd_base14"),
    }


def native_frames(keys: Sequence[str], sampling: Sampling) -> Frames:
    """What methods.render alone makes of two keyframes with the tiny model."""
    from vtg_cli.backbones import base
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.methods import papers

    m = base.load(DATA / "tiny_svd", device="cpu", dtype="fp32")
    ends = [to_pixels(fit(read_image(name), 16, 24, "crop")) for name in keys]
    return papers.render(m, Keyframes.ends(ends[0], ends[1], m.spec.frames), sampling)


def test_a_diffusion_clip_of_native_length_is_the_method_s_own(keys: list[str]) -> None:
    rendering = draw.run(diffusion_job(keys[:2], endpoints="model"))
    assert np.array_equal(np.stack([*rendering]), native_frames(keys[:2], QUICK))
    assert rendering.plan.schedule.segments == (6,)  # the model's length,
    assert rendering.plan.schedule.fps == 7  # and its rate


def test_with_detail_a_diffusion_clip_has_the_keyframes_size(keys: list[str]) -> None:
    sized = diffusion_job(keys[:2], detail="keyframes", width=None, height=None, frames=(3,))
    made = planned(sized)
    assert made.shape == (32, 48, 3)  # the keyframes' own
    height, width = made.drawn  # the model's area of 64 x 64 in their shape, in steps of 4
    assert (height, width) == (52, 80)
    clip = np.stack([*draw.render(made)])
    assert clip.shape == (3, 32, 48, 3)
    assert np.array_equal(clip[0], read_image(keys[0]))
    with pytest.raises(UsageError, match="--detail"):
        planned(job(keys, detail="keyframes"))  # flow needs none


def test_the_embedded_model_draws_any_number_of_frames_of_any_size(keys: list[str]) -> None:
    for n, ease in ((2, "linear"), (3, "linear"), (5, "ease-in"), (40, "linear")):
        asked = replace(job(keys[:2], frames=(n,), ease=ease, width=45), model="tiny")
        clip = np.stack([*draw.run(asked)])
        assert clip.shape == (n, 30, 45, 3)
        steps = np.abs(np.diff(clip.astype(float), axis=0)).mean((1, 2, 3))
        assert steps.max() < 255 / 2  # no step is a cut
    again = np.stack([*draw.run(asked)])
    assert np.array_equal(clip, again)


def test_a_diffusion_clip_of_another_length_is_retimed(keys: list[str]) -> None:
    native = native_frames(keys[:2], QUICK)
    clip = np.stack([*draw.run(diffusion_job(keys[:2], endpoints="model", frames=(3,)))])
    assert clip.shape == (3, 16, 24, 3)
    assert np.array_equal(clip[[0, 2]], native[[0, 5]])
    # half way through six frames lies half way between the third and the fourth
    assert np.array_equal(clip[1], in_between(native[2], native[3], [0.5])[0])


def test_reverse_motion_weights_make_gi_the_method(keys: list[str]) -> None:
    assert planned(diffusion_job(keys[:2])).job.sampling.method == "trf"
    made = planned(diffusion_job(keys[:3], **with_reverse()))
    assert made.job.sampling.method == "gi"
    # per segment: 2 steps and 1 detour, 2 directions, 2 guidance terms
    assert made.evaluations == 2 * (2 + 1) * 2 * 2
    one, other = (
        np.stack([*draw.run(diffusion_job(keys[:2], **weights))])  # type: ignore[arg-type]
        for weights in ({}, with_reverse())
    )
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"sampling": replace(QUICK, method="gi")}, WeightsError, "needs reverse-motion weights"),
        ({"sampling": replace(QUICK, method="trf"), **with_reverse()}, UsageError, "--reverse"),
        ({"width": 30}, UsageError, "--width 30 is not a positive multiple of 4"),
        ({"model": str(DATA / "tiny_svd_reverse")}, WeightsError, "model_index.json"),
        ({"encoding": Encoding(alpha=True)}, UsageError, "draws no transparency"),
    ],
)
def test_what_a_diffusion_model_cannot_do_is_refused(
    keys: list[str], change: dict[str, object], error: type[VtgError], said: str
) -> None:
    with pytest.raises(error, match=said):
        planned(diffusion_job(keys[:2], **change))


def test_a_report_holds_the_job_the_figures_and_the_versions(
    keys: list[str], tmp_path: Path
) -> None:
    target = tmp_path / "clip.mkv"
    returned = draw.run(
        job(keys[:3], frames=(4,), duration=Fraction(7, 12), output=str(target))
    ).save()
    report = json.loads((tmp_path / "clip.mkv.json").read_text(encoding="utf-8"))
    assert report == json.loads(json.dumps(returned))
    assert (report["schema"], report["version"]) == ("vtg-sidecar", 1)
    assert report["job"]["keyframes"] == ["key0.png", "key1.png", "key2.png"]  # relative
    assert (report["job"]["output"], report["job"]["model"]) == ("clip.mkv", "flow")
    assert report["job"]["frames"] == [4, 4]
    assert report["clip"] == {
        "frames": 7,
        "fps": "12",
        "seconds": "7/12",
        "height": 32,
        "width": 48,
        "alpha": False,
        "keyframes_at": [0, 3, 6],
    }
    assert len(report["segments"]) == 2
    # flow gives its keyframes back exactly: no error to measure, which JSON tells as null
    assert report["segments"][0]["endpoint_psnr_first"] is None
    assert report["segments"][0]["frames"] == 4
    assert {"loading", "drawing", "anchoring", "encoding"} <= set(report["seconds"])
    used = {"vtg", "python", "numpy", "pillow", "opencv-python", "ffmpeg"}
    assert set(report["versions"]) == used  # torch, though here, did not draw this
    assert report["weights"] == {}


def test_weights_are_told_by_their_sha256(keys: list[str], tmp_path: Path) -> None:
    import hashlib

    asked = diffusion_job(keys[:2], output=str(tmp_path / "clip.mkv"), **with_reverse())
    report = draw.run(asked).save()
    assert set(report["weights"]) == {"model", "reverse", "reverse_base"}
    for folder, role in (("tiny_svd", "model"), ("tiny_svd_reverse/unet", "reverse")):
        for name, sha256 in report["weights"][role].items():
            content = (DATA / folder / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == sha256
    assert "unet/diffusion_pytorch_model.safetensors" in report["weights"]["model"]


@pytest.mark.parametrize("encoding", [Encoding(metadata=False), Encoding(sidecar=False)])
def test_no_metadata_leaves_no_trace_and_no_sidecar_only_the_tag(
    keys: list[str], tmp_path: Path, encoding: Encoding
) -> None:
    draw.run(job(keys[:2], frames=(3,), output=str(tmp_path / "c.mkv"), encoding=encoding)).save()
    assert not (tmp_path / "c.mkv.json").exists()
    assert (b"made with vtg" in (tmp_path / "c.mkv").read_bytes()) == encoding.metadata


def test_alpha_is_kept_where_all_keyframes_and_the_format_have_it(tmp_path: Path) -> None:
    names = []
    for i in range(2):
        pixels = picture(9 * i, channels=4)
        names.append(str(tmp_path / f"rgba{i}.png"))
        Image.fromarray(pixels).save(names[-1])
    opaque = str(tmp_path / "opaque.png")
    Image.fromarray(picture(3)).save(opaque)

    def channels(files: list[str], output: str, alpha: bool | None = None) -> int:
        asked = job(files, output=str(tmp_path / output), encoding=Encoding(alpha=alpha))
        return planned(asked).shape[2]

    assert channels(names, "c.mov") == 4
    assert channels(names, "c.mp4") == 3
    assert channels(names, "c.mov", alpha=False) == 3
    assert channels([*names, opaque], "c.mov") == 3
    with pytest.raises(UsageError, match=r"opaque.png has no transparency"):
        channels([*names, opaque], "c.mov", alpha=True)
    with pytest.raises(UsageError, match="mp4 cannot keep alpha"):
        channels(names, "c.mp4", alpha=True)

    draw.run(job(names, frames=(3,), output=str(tmp_path / "out" / "%d.png"))).save()
    assert np.array_equal(
        read_image(tmp_path / "out" / "2.png", keep_alpha=True), picture(9, channels=4)
    )


def test_flattened_alpha_lies_on_the_background(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 4), (200, 100, 0, 51), np.uint8)  # one fifth opaque
    clip = interpolate(pixels, pixels.copy(), frames=2, alpha=False, background="#0000ff")
    # alpha over blue: 0.2 * (200, 100, 0) + 0.8 * (0, 0, 255)
    assert next(iter(clip))[0, 0].tolist() == [40, 20, 204]


def test_notes_say_what_may_surprise(keys: list[str], tmp_path: Path) -> None:
    tall = str(tmp_path / "tall.png")
    Image.fromarray(picture(0, height=60, width=20)).save(tall)
    copy = str(tmp_path / "copy.png")
    Path(copy).write_bytes(Path(keys[0]).read_bytes())
    assert planned(job(keys)).notes == ()
    (same,) = planned(job([keys[0], copy])).notes
    assert "copy.png is the same picture as" in same
    (shape,) = planned(job([keys[0], tall])).notes
    assert "tall.png (20x60) is cropped to 48x32" in shape
    looped = planned(job([keys[0], keys[1], copy], loop=True)).notes  # copy leads back to its twin
    assert len(looped) == 1


class TestChoice:
    """--model auto, with what lies on the machine and what runs there replaced."""

    def choose(
        self,
        monkeypatch: pytest.MonkeyPatch,
        here: list[str],
        room: float | None,
        device: str = "auto",
        rungs: tuple[Rung, ...] = RUNGS,
    ) -> models_of.Choice:
        """room: bytes of the GPU's memory, None: there is no GPU."""
        monkeypatch.setattr(models_of.store, "available", lambda: here)
        on = "cpu" if room is None or device == "cpu" else "cuda"
        monkeypatch.setattr(models_of, "device_name", lambda device: on)
        monkeypatch.setattr(models_of, "gpu_memory", lambda device: Memory(int(room or 0), 0))
        monkeypatch.setattr(models_of.store, "usable", lambda entry: False)
        small = models_of.store.Source("tiny", DATA / "tiny_svd")
        monkeypatch.setattr(models_of.store, "resolve", lambda name: replace(small, name=name))
        return models_of.choose("auto", device, rungs)

    def test_no_weights_means_the_embedded_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(models_of.store, "available", list)
        monkeypatch.setattr(models_of.store, "usable", lambda entry: False)
        made = models_of.choose("auto", "cpu")
        assert (made.name, made.device, made.frames, made.fps) == ("tiny", "cpu", 24, 24)
        assert "no larger model on this machine" in made.reason
        assert "'vtg models pull rife', 23 MB, would add learned motion" in made.reason
        assert made.source is not None and made.source.folder == EMBEDDED_FOLDER

    def test_the_best_of_what_is_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = self.choose(monkeypatch, ["svd", "svd-xt"], 1e12)
        assert (made.name, made.frames) == ("svd-xt", 6)
        assert made.reason == "the best one here that this machine can run"

    def test_never_a_large_model_on_a_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = self.choose(monkeypatch, ["svd"], None)
        assert made.name == "tiny"  # which `resolve` here names as it is asked
        assert "svd is here, but there is no GPU" in made.reason
        assert self.choose(monkeypatch, ["svd"], 1e12, device="cpu").name == "tiny"

    def test_a_small_gpu_runs_it_a_rung_lower(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The expected peaks of the rungs themselves as the GPU's memory: 10 % is spared."""
        asked = work_at(RUNGS[0])
        peaks = [on_device(replace(asked, rung=rung)) for rung in RUNGS]
        for rung, peak in zip(RUNGS, peaks, strict=True):
            made = self.choose(monkeypatch, ["svd"], peak / SPARE + 2, rungs=(rung,))
            how = f", by --memory {rung.name}" if rung.weights != "here" else ""
            assert (made.name, made.device) == ("svd", "cuda")
            assert made.reason == f"the best one here that this machine can run{how}"
        made = self.choose(monkeypatch, ["svd"], peaks[2] / SPARE + 2)
        assert made.reason.endswith(", by --memory offload")
        made = self.choose(monkeypatch, ["svd"], peaks[-1] / 2)
        assert made.reason.startswith(
            f"svd is here, but at --memory tiled it wants about {size_text(peaks[-1])} of GPU "
            f"memory and there are {size_text(peaks[-1] // 2)} ('--model svd' tries it anyway)"
        )
        named = self.choose(monkeypatch, ["svd"], peaks[-1] / SPARE + 2, rungs=RUNGS[:1])
        assert "svd is here, but at --memory full it wants" in named.reason


def work_at(rung: Rung) -> Work:
    """The tiny Stable Video Diffusion at its own size in half precision, as on a GPU."""
    model = footprint.in_memory(DATA / "tiny_svd", 2, 4)
    side = 64  # sample_size 16, times 4
    return Work(
        rates=U_NET,
        device="cuda",
        segments=(6,),
        drawn=(6,),
        size=(side, side),
        canvas=(side, side),
        model=model,
        batch=2,
        terms=2,
        item=2,
        rung=rung,
    )


def test_options_the_embedded_model_has_no_use_for_are_refused_by_name(keys: list[str]) -> None:
    for flag, change in (
        ("--noise-aug", {"sampling": Sampling(noise_aug=0.1)}),
        ("--schedule", {"sampling": Sampling(schedule="ays")}),
        ("--reuse", {"sampling": Sampling(reuse=2)}),
        ("--compile", {"compile": True}),
        ("--decode-chunk", {"decode_chunk": 2}),
        ("--dtype", {"dtype": "fp16"}),
    ):
        with pytest.raises(UsageError) as error:
            planned(replace(job(keys, **change), model="tiny"))
        assert error.value.message == f"{flag} means nothing to tiny"
    made = planned(replace(job(keys, sampling=Sampling(steps=3)), model="tiny"))
    assert made.job.sampling.steps == 3 and made.job.sampling.guidance == (1.0, 1.0)


def test_presets_of_speed_decide_what_was_left_open(keys: list[str]) -> None:
    def steps(**changes: object) -> tuple[int | None, str | None]:
        asked = job(keys[:2], **changes)
        s = planned(replace(asked, model=str(DATA / "tiny_svd"), device="cpu")).job.sampling
        return s.steps, s.schedule

    assert steps() == (25, "karras")
    assert steps(fast=True) == (10, "ays")
    assert steps(fast=True, sampling=Sampling(schedule="karras")) == (10, "karras")
    assert steps(fast=True, sampling=Sampling(steps=10)) == (10, "karras")  # as an old sidecar says
    assert steps(quality=True) == (50, "karras")
    assert steps(quality=True, sampling=Sampling(method="tvg")) == (25, "karras")
    assert steps(quality=True, sampling=Sampling(steps=7)) == (7, "karras")
    made = planned(replace(job(keys[:2], quality=True), model="tiny"))
    assert made.job.sampling.steps == 2
    assert made.notes[-1] == "note: --quality changes no step: tiny takes 2 by itself"


def test_reuse_and_spans_are_planned_and_recorded(keys: list[str]) -> None:
    s = Sampling(method="trf", steps=6, renoise=0, guidance=(1, 3), guidance_span=(0, 0.5), reuse=2)
    made = planned(replace(job(keys[:2], sampling=s), model=str(DATA / "tiny_svd"), device="cpu"))
    # 3 steps of 2 directions and 2 terms, 3 of 2 directions; whole are the 1st, 3rd, 4th and 6th
    assert (made.evaluations, made.whole) == (3 * 4 + 3 * 2, 2 * 4 + 2 * 2)
    (line,) = (line for line in summary(made, None) if line.startswith("sampling"))
    assert line == (
        "sampling  trf from random, 6 steps (guidance in 0 to 0.5 of them), seed 0: "
        "18 evaluations of the network, 12 of them whole"
    )
    told = reports.outline(made)
    assert told["model"]["whole"] == 12
    assert told["job"]["sampling"]["guidance_span"] == [0, 0.5]
    with pytest.raises(UsageError, match="--guidance-span means nothing without guidance"):
        planned(replace(job(keys[:2], sampling=Sampling(guidance_span=(0, 0.5))), model="tiny"))


def test_compilation_without_a_compiler_is_left_out_and_said(
    keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = replace(job(keys[:2], compile=True), model=str(DATA / "tiny_svd"), device="cpu")
    monkeypatch.setenv("CXX", sys.executable)
    assert planned(asked).job.compile
    monkeypatch.setenv("CXX", "nonesuch")
    made = planned(asked)
    assert not made.job.compile
    assert made.notes[-1] == (
        "note: --compile needs a C++ compiler (nonesuch), which is not here: it is left out"
    )


def test_a_report_of_flow_that_names_the_usual_solver_is_drawn_again(keys: list[str]) -> None:
    """As reports did before a model could have a solver of its own."""
    assert planned(job(keys, sampling=Sampling(solver="euler"))).model.name == "flow"
    with pytest.raises(UsageError, match="--solver is for diffusion models"):
        planned(job(keys, sampling=Sampling(solver="heun")))


def test_options_flow_has_no_use_for_are_refused_by_name(keys: list[str]) -> None:
    changes: dict[str, dict[str, object]] = {
        "--steps": {"sampling": Sampling(steps=3)},
        "--quality": {"quality": True},
        "--compile": {"compile": True},
        "--reuse": {"sampling": Sampling(reuse=2)},
        "--schedule": {"sampling": Sampling(schedule="ays")},
        "--guidance-span": {"sampling": Sampling(guidance_span=(0, 0.5))},
        "--guidance": {"sampling": Sampling(guidance=(1, 2))},
        "--renoise-until": {"sampling": Sampling(renoise_until=0.3)},
        "--reverse": {"reverse": "svd-reverse"},
        "--decode-chunk": {"decode_chunk": 2},
        "--dtype": {"dtype": "fp16"},
        "--device": {"device": "cuda"},
    }
    for flag, change in changes.items():
        with pytest.raises(
            UsageError, match=f"{flag} is for (diffusion models|models with a network)"
        ):
            planned(job(keys[:2], **change))
    planned(job(keys[:2], sampling=Sampling(seed=7), device="cpu"))  # harmless


class TestPython:
    """The call in a program."""

    def test_arrays_images_and_files_make_the_same_clip(self, keys: list[str]) -> None:
        ways: list[list[Any]] = [
            keys[:2],
            [Path(name) for name in keys[:2]],
            [Image.open(name) for name in keys[:2]],
            [read_image(name) for name in keys[:2]],
        ]
        clips = [np.stack([*interpolate(*way, frames=2)]) for way in ways]
        assert clips[0].shape == (2, 32, 48, 3)
        assert all(np.array_equal(clip, clips[0]) for clip in clips[1:])

    def test_without_an_output_nothing_is_written_until_save(
        self, keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        rendering = interpolate(*keys[:2], frames=3)
        assert isinstance(rendering, Rendering)
        assert [*here.iterdir()] == []
        report = rendering.save("clip.mkv")
        assert report["clip"]["frames"] == 3
        assert sorted(file.name for file in here.iterdir()) == ["clip.mkv", "clip.mkv.json"]
        with pytest.raises(UsageError, match="exists"):
            interpolate(*keys[:2], frames=3).save("clip.mkv")
        interpolate(*keys[:2], frames=4).save("clip.mkv", overwrite=True)
        assert len(read_video("clip.mkv")[0]) == 4

    def test_with_an_output_the_clip_is_written_at_once(
        self, keys: list[str], tmp_path: Path
    ) -> None:
        target = tmp_path / "clip.mkv"
        interpolate(*keys[:2], output=target, frames=3, fps=12.5)
        assert read_video(str(target))[1] == Fraction(25, 2)
        before = target.stat().st_mtime_ns
        interpolate(*keys[:2], output=target, frames=9, skip_existing=True)
        assert target.stat().st_mtime_ns == before

    def test_times_are_read_as_the_command_line_reads_them(self, keys: list[str]) -> None:
        made = interpolate(*keys[:2], duration="500ms", fps="24000/1001").plan.schedule
        assert (made.total, made.fps) == (12, Fraction(24000, 1001))
        assert interpolate(*keys[:2], frames="5", fps=23.976).plan.schedule.fps == Fraction(
            2997, 125
        )
        assert interpolate(*keys[:3], frames=[4, 5]).plan.schedule.segments == (4, 5)

    @pytest.mark.parametrize(
        ("pictures", "options", "error"),
        [
            ((), {}, UsageError),
            ((picture(0),), {}, UsageError),
            ((picture(0), picture(1).astype(float)), {}, MediaError),
            ((picture(0), picture(1)[..., 0]), {}, MediaError),
            ((picture(0), "nowhere.png"), {}, MediaError),
            ((picture(0), picture(1)), {"frames": 1}, UsageError),
            ((picture(0), picture(1)), {"guidance": "a:b"}, UsageError),
            ((picture(0), picture(1)), {"framez": 3}, TypeError),
            ((picture(0), picture(1)), {"output": "nowhere/clip.mp4"}, MediaError),
        ],
    )
    def test_what_cannot_be_fails_at_the_call(
        self, pictures: tuple[Any, ...], options: dict[str, Any], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            interpolate(*pictures, **options)

    def test_a_rendering_is_saved_once_whole_and_under_a_name(self, tmp_path: Path) -> None:
        rendering = interpolate(picture(0), picture(5), frames=2)
        with pytest.raises(UsageError, match="no output"):
            rendering.save()
        next(iter(rendering))
        with pytest.raises(UsageError, match="taken already"):
            rendering.save(str(tmp_path / "clip.mkv"))

    def test_a_turned_photograph_stands_upright(self) -> None:
        photograph = Image.fromarray(picture(0))
        photograph.getexif()[0x0112] = 6  # turn a quarter to the right
        clip = interpolate(photograph, photograph.copy(), frames=2)
        assert np.array_equal(next(iter(clip)), np.rot90(picture(0), -1))


def test_a_contact_sheet_shows_the_clip(keys: list[str], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    draw.run(job(keys[:2], frames=(4,), output=str(tmp_path / "c.mkv"))).save(sheet=str(sheet))
    shown = read_image(sheet)
    assert np.array_equal(shown[:32, :48], read_image(keys[0]))
    assert np.array_equal(shown[-32:, -48:], read_image(keys[1]))
