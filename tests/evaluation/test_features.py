"""Feature networks by name: how they are found, loaded, fed and streamed; what is said without."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import pictures, rule, shapes
from numpy.typing import NDArray
from torch import Tensor, nn

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.evaluation import preprocess
from vtg_cli.evaluation.features import (
    DISTANCES,
    NETWORKS,
    Loaded,
    check_given,
    extractor,
    features_of,
    missing,
    moments_of,
    weights_of,
)
from vtg_cli.evaluation.networks import load
from vtg_cli.evaluation.networks.load import PUBLISHED
from vtg_cli.weights import cache
from vtg_cli.weights.catalog import CATALOG


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path


class Scripted(nn.Module):
    """A detector that is called as the published torchscript files are."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(
        self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = True
    ) -> Tensor:
        x = x.float()
        if rescale:
            x = x / 127.5 - 1
        means = x.flatten(2).mean(2)
        return means.repeat(1, self.dim // 3 + 1)[:, : self.dim]


def script(path: Path, dim: int) -> Path:
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):  # torch 2.13's and 2.14's
            warnings.simplefilter("ignore", kind)
        torch.jit.script(Scripted(dim)).save(str(path))
    return path


def test_every_network_has_a_row_a_loader_and_a_sentence() -> None:
    assert NETWORKS.keys() == PUBLISHED.keys()
    for name, network in NETWORKS.items():
        assert CATALOG[network.weights].kind == "part"
        sentence = missing(name)
        assert sentence is not None
        assert sentence.startswith(f"{network.scores} is absent: ")
        assert f"--features {network.weights}=PATH" in sentence
        with pytest.raises(WeightsError, match="is absent"):
            extractor(name)
    for name in DISTANCES:
        assert f"vtg models pull {name}" in (missing(name) or "")


def test_what_vtg_does_not_fetch_says_where_it_lies() -> None:
    assert "fetch https://www.dropbox.com/" in (missing("c3d") or "")
    assert "vtg models pull inception, or" in (missing("inception") or "")


def test_paths_are_given_by_the_rows_of_weights() -> None:
    check_given({"i3d": 1, "dinov2-base": 1, "lpips-alex": 1})
    assert (weights_of("i3d-seer"), weights_of("lpips-vgg")) == ("i3d", "lpips-vgg")
    with pytest.raises(UsageError, match="--features takes no 'i3d-seer'"):
        check_given({"i3d-seer": 1})


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="no feature network 'vgg'"):
        missing("vgg")


def test_inception_from_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(rule(shapes("inception")), path)
    network = extractor("inception", path)
    assert (network.name, network.dim, network.frames) == ("inception", 2048, 1)
    batch = pictures(2, 40, 50, 3)
    with torch.inference_mode():
        expected = load.inception(path)(preprocess.fid(batch)).numpy()
    np.testing.assert_array_equal(network(batch), expected)
    assert network.weights == {"weights.pth": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert network.note == f"{path} is not the published file of inception: other sha256"
    with pytest.raises(UsageError, match=r"inception takes uint8 pictures \[B, H, W, 3\]"):
        network(pictures(1, 2, 40, 50, 3))
    with pytest.raises(UsageError, match="not float64"):
        network(np.zeros((1, 40, 50, 3)))  # type: ignore[arg-type]


def test_torchscript_files_are_called_as_their_publishers_do(tmp_path: Path) -> None:
    clips = pictures(2, 16, 8, 10, 3)
    means = clips.reshape(2, -1, 3).mean(1)
    path = script(tmp_path / "i3d.pt", 400)
    published, vidm = extractor("i3d-torchscript", path), extractor("i3d-torchscript-vidm", path)
    np.testing.assert_allclose(published(clips)[:, :3], means / 127.5 - 1, atol=1e-5)
    np.testing.assert_allclose(vidm(clips)[:, :3], means / 255, atol=1e-5)
    with pytest.raises(UsageError, match="at least 9 frames, not 8"):
        published(clips[:, :8])
    c3d = extractor("c3d", script(tmp_path / "c3d.pt", 101))
    assert c3d(clips).shape == (2, 101)
    assert c3d.note == "nobody published a sha256 of c3d to compare with"
    with pytest.raises(UsageError, match="exactly 16 frames, not 15"):
        c3d(clips[:, :15])


def test_weights_that_make_other_features_are_refused(tmp_path: Path) -> None:
    network = extractor("i3d-torchscript", script(tmp_path / "small.pt", 12))
    with pytest.raises(WeightsError, match=r"make features \(12,\), not of 400 numbers"):
        network(pictures(1, 9, 8, 10, 3))


def test_a_fetched_torchscript_file_runs_only_with_the_pinned_hash(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = CATALOG["i3d-torchscript"]
    assert entry.revision is not None
    folder = cache.repo_folder(entry.repo_id) / "snapshots" / entry.revision
    folder.mkdir(parents=True)
    path = script(folder / entry.files[0], 400)
    assert missing("i3d-torchscript") is None
    with pytest.raises(WeightsError, match="is not what was published: its sha256 begins with"):
        extractor("i3d-torchscript")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(entry.sha256, entry.files[0], digest)  # type: ignore[arg-type]
    assert extractor("i3d-torchscript").note == ""


def transformer(kind: str, folder: Path) -> None:
    """A tiny model of transformers, saved as its own do."""
    import transformers as t

    small = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    model = {
        "clip": lambda: t.CLIPVisionModelWithProjection(
            t.CLIPVisionConfig(hidden_size=16, projection_dim=12, patch_size=32, **small)
        ),
        "dino": lambda: t.ViTModel(t.ViTConfig(hidden_size=16, **small), add_pooling_layer=False),
        "dinov2": lambda: t.Dinov2Model(
            t.Dinov2Config(hidden_size=16, image_size=224, patch_size=14, **small)
        ),
    }[kind]()
    with load._quiet():
        model.save_pretrained(folder)


@pytest.mark.parametrize(("kind", "dim"), [("clip", 12), ("dino", 16), ("dinov2", 16)])
def test_transformers_from_a_folder(tmp_path: Path, kind: str, dim: int) -> None:
    folder = tmp_path / kind
    transformer(kind, folder)
    network = load.picture(kind, folder)
    prepare = PUBLISHED[kind][1]
    batch = pictures(2, 60, 90, 3)
    with torch.inference_mode():
        found = network(prepare(batch))
        again = network(prepare(batch[1:]))
    assert found.shape == (2, dim)
    torch.testing.assert_close(found[1:], again)
    assert float(found.std()) > 0
    with pytest.raises(WeightsError, match=rf"features \({dim},\), not of"):
        extractor(kind, folder)(batch)


def test_a_folder_of_another_model_is_not_filled_at_random(tmp_path: Path) -> None:
    transformer("dino", tmp_path / "dino")
    with pytest.raises(WeightsError, match=r"cannot be read as clip: .*lacks"):
        load.picture("clip", tmp_path / "dino")
    with pytest.raises(WeightsError, match=r"has no config.json; dino is read from a folder"):
        load.picture("dino", tmp_path)


def test_dino_stretches_its_positions_by_the_scale() -> None:
    """A ramp over 4 columns at 5.1 / 4: sampled at (i + 0.5) 4 / 5.1 - 0.5, not 4 / 5."""
    from vtg_cli.evaluation.networks.vits import stretched

    table = torch.arange(4.0).repeat(4)[None, :, None]
    positions = torch.cat([torch.full((1, 1, 1), 9.0), table], 1)
    found = stretched(positions, 4, 5)
    assert found.shape == (1, 21, 1) and float(found[0, 0]) == 9
    middle = float(found[0, 1:].reshape(4, 5)[1, 2])
    assert middle == pytest.approx(2.5 * 4 / 5.1 - 0.5, abs=0.02)


class Mean:
    """An Extractor of mean colours."""

    def __init__(self) -> None:
        self.name, self.dim, self.frames, self.note = "mean", 3, 1, ""
        self.weights: dict[str, str] = {}

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return batch.mean((1, 2), dtype=np.float32)


def test_features_stream() -> None:
    whole = pictures(20, 6, 6, 3)

    def batches() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, 20, 3):
            yield whole[start : start + 3]

    features = features_of(Mean(), batches())
    assert features.shape == (20, 3)
    moments = moments_of(Mean(), batches())
    assert moments.count == 20
    expected = np.cov(features.astype(float), rowvar=False)
    np.testing.assert_allclose(moments.covariance(), expected, rtol=1e-6)
    assert features_of(Mean(), iter(())).shape == (0, 3)


def test_a_loaded_network_is_an_extractor() -> None:
    double = Loaded("double", 3, 1, lambda x: 2 * x, lambda b: torch.from_numpy(b.mean((1, 2))))
    batch = pictures(2, 4, 4, 3)
    np.testing.assert_allclose(double(batch), 2 * batch.mean((1, 2)), rtol=1e-6)
