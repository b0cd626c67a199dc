"""The networks against what the published classes made of the same weights and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import pictures, recorded, rule, shapes
from torch import Tensor

from vtg_cli.errors import WeightsError
from vtg_cli.evaluation import preprocess
from vtg_cli.evaluation.networks import load, vits
from vtg_cli.evaluation.networks.i3d import I3d
from vtg_cli.evaluation.networks.inception import FidInception
from vtg_cli.evaluation.networks.trunks import alexnet, vgg16

RELATIVE = 2e-5
"""Of the largest value: 100 layers in float32, summed in another order; bit for bit where made."""


def saved(network: str, path: Path, beginning: str = "") -> Path:
    torch.save(rule(shapes(network), beginning), path / f"{network}.pth")
    return path / f"{network}.pth"


def compare(found: Tensor, network: str) -> None:
    expected, features = recorded(network), found.double().flatten().numpy()
    scale = np.abs(features).max()
    np.testing.assert_allclose(features[:12], expected["first"], atol=RELATIVE * scale, rtol=0)
    assert features.mean() == pytest.approx(expected["mean"], abs=RELATIVE * scale)
    assert features.std() == pytest.approx(expected["deviation"], abs=RELATIVE * scale)


@pytest.mark.parity
def test_inception(tmp_path: Path) -> None:
    network = load.inception(saved("inception", tmp_path))
    with torch.inference_mode():
        compare(network(preprocess.fid(pictures(*recorded("inception")["input"]))), "inception")


@pytest.mark.parity
def test_i3d_behind_both_preprocessings(tmp_path: Path) -> None:
    network = load.i3d(saved("i3d", tmp_path))
    clips = pictures(*recorded("i3d")["input"])
    with torch.inference_mode():
        compare(network(preprocess.debiased_i3d(clips)), "i3d")
        compare(network(preprocess.seer_i3d(clips)), "i3d-seer")


@pytest.mark.parity
def test_videomae_in_the_names_of_its_authors() -> None:
    case = recorded("videomae")
    network = vits.VideoMae(**case["sizes"]).eval()
    network.load_state_dict(vits.of_videomae_v2(rule(case["names"])))
    with torch.inference_mode():
        compare(network(preprocess.debiased_videomae(pictures(*case["input"]))), "videomae")


def test_all_published_names_are_used() -> None:
    """Each class holds the names and shapes of its file, no more and no less, heads apart."""
    with torch.device("meta"):
        networks = {"inception": FidInception(), "i3d": I3d()}
        trunks = {"alexnet": alexnet(), "vgg16": vgg16()}
        giant = vits.VideoMae()

    def own(network: torch.nn.Module) -> dict[str, list[int]]:
        return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}

    for name, network in networks.items():
        assert own(network) == shapes(name)
    for name, trunk in trunks.items():
        features = {n: s for n, s in shapes(name).items() if not n.startswith("classifier.")}
        assert own(trunk) == features
    empty = {n: torch.empty(s, device="meta") for n, s in shapes("videomae").items()}
    renamed = vits.of_videomae_v2(empty)
    assert {name: list(tensor.shape) for name, tensor in renamed.items()} == own(giant)


def test_sinusoids_are_those_of_transformers() -> None:
    from transformers.models.videomae.modeling_videomae import get_sinusoid_encoding_table

    expected = get_sinusoid_encoding_table(60, 30)
    torch.testing.assert_close(vits.sinusoids(60, 30), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("size", "out"), [(7, 4), (8, 4), (9, 5)])
def test_same_padding_is_that_of_tensorflow(size: int, out: int) -> None:
    """ceil(size / stride) places, the odd zero at the end."""
    from vtg_cli.evaluation.networks.i3d import _same

    x = torch.ones(1, 1, size, 1, 1)
    padded = _same(x, (3, 1, 1), (2, 1, 1))[0, 0, :, 0, 0]
    whole = (out - 1) * 2 + 3 - size
    assert len(padded) == size + whole
    assert int(padded[: whole // 2].sum()) == 0 and int(padded[whole // 2]) == 1


def test_another_network_is_refused_by_name(tmp_path: Path) -> None:
    path = saved("alexnet", tmp_path, "features.")
    with pytest.raises(WeightsError, match="another network than I3d: it lacks Conv3d_1a_7x7"):
        load.i3d(path)
    tensors = rule(shapes("alexnet"), "features.")
    tensors["features.0.bias"] = torch.zeros(5)
    torch.save({"state_dict": tensors}, path)
    with pytest.raises(WeightsError, match=r"features.0.bias has the shape \(5,\), not \(64,\)"):
        load.trunk("alexnet", path)


def test_old_files_lack_counters(tmp_path: Path) -> None:
    tensors = {n: t for n, t in rule(shapes("i3d")).items() if not n.endswith("batches_tracked")}
    torch.save({"model": tensors}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert load.i3d(tmp_path / "old.pt").get_parameter("logits.conv3d.bias").shape == (400,)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("it ran",))


def test_a_pickle_of_more_than_tensors_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        load.i3d(tmp_path / "evil.pt")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04"])
def test_damaged_files_end_in_a_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights.pt cannot be read as weights"):
        load.inception(path)
    with pytest.raises(WeightsError, match=r"weights.pt is no torchscript file"):
        load.scripted(path)
    with pytest.raises(WeightsError, match="there is no file"):
        load.tensors(tmp_path / "none.pt")
