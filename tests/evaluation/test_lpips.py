"""LPIPS: the head against the recordings, the whole against the published trunks' classes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import pictures, rule, shapes
from checkpoints import recorded as made
from published import CASES, record, tensors

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.evaluation.lpips import Lpips, head, lpips, neighbour_distances


@pytest.mark.parity
@pytest.mark.parametrize("case", CASES)
def test_the_head_is_that_of_the_recordings(case: str) -> None:
    recorded, arrays = record(case)["lpips_head"], tensors(case)
    layers = range(len(recorded["per_layer"]))
    a, b, w = (
        [torch.from_numpy(arrays[f"lpips.{part}{i}"]) for i in layers] for part in ("a", "b", "w")
    )
    wide = [[x.double() for x in each] for each in (a, b, w)]
    np.testing.assert_allclose(head(*wide), recorded["distance"], rtol=0, atol=1e-6)
    for i, expected in enumerate(recorded["per_layer"]):
        np.testing.assert_allclose(
            head(a[i : i + 1], b[i : i + 1], w[i : i + 1]), expected, atol=1e-6
        )


def folder(path: Path, name: str) -> Path:
    """A folder of weights as a user puts it together."""
    trunk, own, widths = {
        "lpips-alex": ("alexnet", "alex.pth", (64, 192, 384, 256, 256)),
        "lpips-vgg": ("vgg16", "vgg.pth", (64, 128, 256, 512, 512)),
    }[name]
    heads = {
        f"lin{i}.model.1.weight": torch.from_numpy(
            (1 + np.sin(np.arange(1, width + 1) * (0.5 + 0.1 * i))) / width
        ).float()[None, :, None, None]
        for i, width in enumerate(widths)
    }
    tensors = rule(shapes(trunk), "features.")
    torch.save(tensors, path / f"{trunk}-0123.pth")
    torch.save(heads, path / own)
    return path


@pytest.mark.parity
@pytest.mark.parametrize(("name", "trunk"), [("lpips-alex", "alexnet"), ("lpips-vgg", "vgg16")])
def test_the_whole_is_that_of_the_published_trunk(tmp_path: Path, name: str, trunk: str) -> None:
    network = lpips(name, folder(tmp_path, name))
    case = made(trunk)
    a, b = pictures(*case["input"])
    found = network(a[None], b[None])
    assert found.shape == (1,)
    # sums of 5 layers' differences of unit vectors, in float32
    assert found[0] == pytest.approx(case["distance"], rel=1e-4)
    assert network(b[None], a[None])[0] == pytest.approx(found[0], rel=1e-5)
    assert network(a[None], a[None])[0] == 0
    digest = hashlib.sha256((tmp_path / f"{trunk}-0123.pth").read_bytes()).hexdigest()
    assert network.weights[f"{trunk}-0123.pth"] == digest
    clip = np.stack([a, b, b])
    np.testing.assert_allclose(neighbour_distances(network, clip), [found[0], 0], rtol=1e-5)
    assert f"is not the published file of {trunk}" in network.note


def test_neighbours_of_a_clip() -> None:
    flat = Lpips("flat", lambda x: [x.mean((2, 3), keepdim=True) + 3], [torch.ones(3)])
    clip = np.stack([np.full((4, 4, 3), v, np.uint8) for v in (0, 0, 200, 100)])
    clip[2, ..., 0] = 0
    found = neighbour_distances(flat, clip)
    assert found.shape == (3,)
    assert found[0] == 0 and found[1] > 0 and found[2] > 0


def test_pictures_must_fit(tmp_path: Path) -> None:
    network = lpips("lpips-alex", folder(tmp_path, "lpips-alex"))
    small = pictures(1, 30, 40, 3)
    with pytest.raises(UsageError, match="at least 31 pixels a side"):
        network(small, small)
    with pytest.raises(UsageError, match="of one size"):
        network(pictures(1, 40, 40, 3), pictures(1, 40, 44, 3))
    least = pictures(2, 31, 31, 3)
    assert network(least[:1], least[1:]).shape == (1,)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds 0 files alexnet\*"):
        lpips("lpips-alex", tmp_path)
    with pytest.raises(
        WeightsError, match="LPIPS, with PPL and smoothness, is absent: there is no"
    ):
        lpips("lpips-alex", tmp_path / "none")
    with pytest.raises(UsageError, match="no LPIPS 'squeeze'"):
        lpips("squeeze")
    torch.save({"lin0.model.1.weight": torch.ones(1, 3, 1, 1)}, tmp_path / "alex.pth")
    torch.save(rule(shapes("alexnet"), "features."), tmp_path / "alexnet.pth")
    with pytest.raises(WeightsError, match=r"no head of LPIPS 0.1 for this trunk"):
        lpips("lpips-alex", tmp_path)


def test_what_was_pulled_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from vtg_cli.evaluation.features import missing
    from vtg_cli.weights import cache
    from vtg_cli.weights.catalog import CATALOG

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    given = folder(tmp_path, "lpips-alex")
    for row, file in (("alexnet", "alexnet-0123.pth"), ("lpips-alex", "alex.pth")):
        assert missing("lpips-alex") is not None
        place = cache.imported_folder(row)
        place.mkdir(parents=True)
        name = CATALOG[row].files[0]
        (given / file).rename(place / name)
        digest = hashlib.sha256((place / name).read_bytes()).hexdigest()
        monkeypatch.setitem(CATALOG[row].sha256, name, digest)  # type: ignore[arg-type]
    assert missing("lpips-alex") is None
    network = lpips("lpips-alex")
    assert network.note == "" and len(network.weights) == 2
    a, b = pictures(2, 40, 40, 3)
    assert network(a[None], b[None])[0] > 0
