"""Every check of `vtg doctor`, on machines that lack something."""

from __future__ import annotations

import builtins
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vtg_cli.cli import health
from vtg_cli.cli.health import Finding
from vtg_cli.errors import MediaError
from vtg_cli.machine import hardware
from vtg_cli.machine.hardware import Memory

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
REINSTALL = "pip install --force-reinstall imageio-ffmpeg, or name one in IMAGEIO_FFMPEG_EXE"


def program(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An ffmpeg that does as told."""
    file = folder / "ffmpeg"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(file))
    return str(file)


def encoders(*left_out: str) -> str:
    """A shell script that prints a version and the encoders the formats need, but for some."""
    needed = {name for _, names in health.needed_encoders() for name in names} - {*left_out}
    table = "\n".join(f" V....D {name}  of that name" for name in sorted(needed))
    return f'case "$*" in *-version*) echo "ffmpeg version 7.1";; *) echo "{table}";; esac'


def test_the_encoders_are_those_of_the_formats() -> None:
    needed = dict(health.needed_encoders())
    assert needed["mp4"] == {"libx264", "aac"}
    assert needed["mov"] == {"prores_ks", "pcm_s16le"}
    assert needed["png"] == {"png"}


def test_the_ffmpeg_that_comes_with_vtg_has_all() -> None:
    (found,) = health.encoding()
    assert (found.state, found.todo) == ("ok", "") and " with all encoders, " in found.text


def test_an_ffmpeg_that_lacks_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, encoders("libx264", "libopus"), monkeypatch)
    assert [*health.encoding()] == [
        Finding(
            "ffmpeg",
            "note",
            "7.1 lacks libx264, which mp4 needs",
            f"use another format than mp4; or {REINSTALL}",
        ),
        Finding(
            "ffmpeg",
            "note",
            "7.1 lacks libopus, which webm needs",
            f"use another format than webm; or {REINSTALL}",
        ),
    ]


def test_an_ffmpeg_that_fails_or_is_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = program(tmp_path, "exit 3", monkeypatch)
    (found,) = health.encoding()
    said = f"does not run: Command '['{place}', '-version']' returned non-zero exit status 3."
    assert found == Finding("ffmpeg", "bad", said, REINSTALL)
    Path(place).chmod(0o644)
    (found,) = health.encoding()
    assert found.text == f"does not run: [Errno 13] Permission denied: '{place}'"

    def none() -> str:
        raise MediaError("there is no ffmpeg", "install it")

    monkeypatch.setattr(health, "ffmpeg", none)
    assert [*health.encoding()] == [Finding("ffmpeg", "bad", "there is no ffmpeg", "install it")]


def test_torch_as_it_is_here() -> None:
    import torch

    (found,) = health.networks()
    assert (found.name, found.text.split(",")[0]) == ("torch", torch.__version__)


def test_a_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise OSError("libtorch.so: cannot open shared object file\nmore")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(health, "_version", lambda name: "" if name == "diffusers" else "1.0")
    assert [*health.networks()] == [
        Finding(
            "torch",
            "bad",
            "does not work: libtorch.so: cannot open shared object file",
            "pip install --force-reinstall torch; --model flow draws without it",
        ),
        Finding("diffusers", "bad", "is not installed", "pip install diffusers"),
    ]
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    (found,) = health.devices()
    assert found.text == "cannot be asked: libtorch.so: cannot open shared object file"


def test_an_old_cpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    (found,) = health.networks()
    assert (found.state, found.todo) == (
        "note",
        "this CPU has no AVX2: everything but --model flow will be slow",
    )


def test_no_gpu_and_a_gpu_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: False)
    assert [*health.devices()] == [
        Finding(
            "GPU",
            "note",
            "none: no driver on this machine",
            "tiny and flow draw on the CPU; larger models take hours there",
        )
    ]
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert [*health.devices()] == [
        Finding(
            "GPU",
            "note",
            "a driver is here, and torch sees no GPU",
            "install the build of torch for this driver: https://pytorch.org/get-started",
        )
    ]


def test_gpus_are_told_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "may_have_gpu", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda i: f"Card {i}")
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (3 * 10**9, 8 * 10**9))
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert [*health.devices()] == [
        Finding("GPU", "ok", f"cuda:{i}: Card {i}, 8.0 GB, 3.0 GB free") for i in (0, 1)
    ]


@pytest.mark.parametrize(
    ("here", "finding"),
    [
        (Memory(8 * 10**9, 5 * 10**9), Finding("memory", "ok", "8.0 GB, 5.0 GB free; 1 core")),
        (
            Memory(8 * 10**9, 10**8),
            Finding("memory", "note", "8.0 GB, 100 MB free; 1 core", health.FREE_SOME),
        ),
        (None, Finding("memory", "note", "this system does not report it")),
    ],
)
def test_memory(here: Memory | None, finding: Finding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "memory", lambda: here)
    monkeypatch.setattr(hardware, "cores", lambda: 1)
    assert [*health.memory()] == [finding]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path


def test_a_cache_that_is_full_or_not_ours(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    first, second = health.caches()
    assert first == Finding(
        "cache",
        "note",
        f"models go to {hub / 'hub'}, 1.0 GB free",
        "a model takes 5.0 GB: free some space, or let HF_HOME point elsewhere",
    )
    assert second.text == f"imports go to {hub / 'assets' / 'vtg'}, 1.0 GB free"
    usage.free = 10**11
    assert [each.state for each in health.caches()] == ["ok", "ok"]
    monkeypatch.setattr(os, "access", lambda place, how: False)
    first, _ = health.caches()
    assert first == Finding(
        "cache",
        "note",
        f"models cannot be kept: {hub} cannot be written",
        "let HF_HOME point to a folder of yours",
    )


def snapshot(hub: Path) -> Path:
    """svd, as a pull would leave it."""
    place = (
        hub
        / "hub"
        / "models--stabilityai--stable-video-diffusion-img2vid"
        / "snapshots"
        / ("1" * 40)
    )
    shutil.copytree(SVD, place)
    return place


def test_models_that_are_whole_partly_here_or_damaged(hub: Path) -> None:
    more = "; 'vtg models pull rife' adds learned motion"
    embedded = Finding("model", "ok", f"tiny and flow are embedded{more}")
    assert [*health.models()] == [embedded]
    place = snapshot(hub)
    assert [*health.models()] == [embedded, Finding("model", "ok", "svd is complete, 4 MB")]
    vae = place / "vae" / "diffusion_pytorch_model.fp16.safetensors"
    vae = vae if vae.exists() else place / "vae" / "diffusion_pytorch_model.safetensors"
    whole = vae.read_bytes()
    vae.write_bytes(whole[:-4])
    assert [*health.models()][1] == Finding(
        "model",
        "note",
        f"svd: {vae} is damaged: it has {len(whole) - 4} bytes and says {len(whole)}",
        "vtg models verify svd, then vtg models pull svd",
    )
    vae.unlink()
    assert [*health.models()][1] == Finding(
        "model",
        "note",
        "svd is not complete: it lacks vae/diffusion_pytorch_model[.fp16].safetensors",
        "vtg models pull svd",
    )


def test_a_damaged_embedded_model(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        raise FileNotFoundError("[Errno 2] No such file")

    monkeypatch.setattr(health, "_measure", broken)
    (found,) = health.models()
    assert found == Finding(
        "model",
        "bad",
        "tiny is damaged: [Errno 2] No such file",
        "pip install --force-reinstall vtg-cli",
    )


def test_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: pytest.fail("it was asked"))
    assert [*health.reach()] == [Finding("hub", "ok", "not asked: HF_HUB_OFFLINE is set")]
    monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(f"{constants}.ENDPOINT", "http://hub")
    asked = []

    def head(place: str, *, timeout: float) -> None:
        asked.append((place, timeout))

    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: SimpleNamespace(head=head))
    assert [*health.reach()] == [Finding("hub", "ok", "http://hub answers")]
    assert asked == [("http://hub", 4.0)]

    def fail(place: str, *, timeout: float) -> None:
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: SimpleNamespace(head=fail))
    assert [*health.reach()] == [
        Finding(
            "hub",
            "note",
            "http://hub does not answer: no route to host",
            "what is here runs without; to fetch models see HF_ENDPOINT and the proxy's settings",
        )
    ]


def test_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "find_spec", lambda name: None)
    assert [*health.extras()] == [
        Finding(
            "ray",
            "note",
            "is not installed",
            "for vtg batch --engine ray: pip install 'vtg-cli[ray]'",
        ),
        Finding(
            "heif", "note", "is not installed", "for pictures in HEIC: pip install 'vtg-cli[heif]'"
        ),
    ]
    monkeypatch.setattr(health, "find_spec", lambda name: object())
    monkeypatch.setattr(health, "_version", lambda name: f"1.0 of {name}")
    texts = [found.text for found in health.extras()]
    assert texts == ["1.0 of ray", "1.0 of pillow-heif"]


def test_a_hanging_ffmpeg_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("ffmpeg", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    (found,) = health.encoding()
    assert (found.state, found.text) == (
        "bad",
        "does not run: Command 'ffmpeg' timed out after 20 seconds",
    )
