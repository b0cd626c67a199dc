"""What --reverse and --reverse-base stand for, with the cache laid out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hub_server import XT, Hub, Repository, lay_out, lay_out_cache, small_model

from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights import delta, reverse, store
from vtg_cli.weights.catalog import CATALOG
from vtg_cli.weights.reverse import Reverse, known_reverse, resolve_reverse

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
TUNED, BASE = PARITY / "tiny_svd_reverse", PARITY / "tiny_svd_base14"
SVD, ENTRY = CATALOG["svd"].repo_id, CATALOG["svd-reverse"]
WEIGHTS = "diffusion_pytorch_model.safetensors"


def tuned_repository(folder: str = ENTRY.folder) -> Repository:
    return Repository({f"{folder}/config.json": b"{}", f"{folder}/{WEIGHTS}": b"tuned"})


def refusal(spec: str, base: str | None = None) -> VtgError:
    with pytest.raises(VtgError) as caught:
        resolve_reverse(spec, base)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def test_a_delta_file(tmp_path: Path) -> None:
    file = tmp_path / "reverse.safetensors"
    file.write_bytes(b"")
    assert resolve_reverse(str(file)) == Reverse(file)
    error = refusal(str(file), "svd")
    assert type(error) is UsageError and error.subject == str(file)


def test_a_folder_with_its_base() -> None:
    found = resolve_reverse(str(TUNED), str(BASE / "unet"))
    assert found == Reverse(TUNED / "unet", BASE / "unet")


def test_a_folder_takes_svd_as_its_base(hub: Hub) -> None:
    error = refusal(str(TUNED))
    assert type(error) is WeightsError
    assert error.message == (
        f"{TUNED} is a tuned U-Net and needs what it was tuned from, "
        "but svd (4.5 GB) is not on this machine"
    )
    assert f"vtg models delta --tuned {TUNED} --base BASE -o reverse.safetensors" in error.hint
    snapshot = lay_out_cache(SVD, Repository(small_model()))
    assert resolve_reverse(str(TUNED)) == Reverse(TUNED / "unet", snapshot / "unet")


def test_the_catalogues_reverse_and_its_base(hub: Hub) -> None:
    error = refusal("svd-reverse")
    assert error.message == "svd-reverse (6.1 GB) is not on this machine"
    assert error.hint == "vtg models pull svd-reverse"
    tuned = lay_out_cache(ENTRY.repo_id, tuned_repository()) / ENTRY.folder
    assert "svd (4.5 GB) is not on this machine" in refusal("svd-reverse").message
    base = lay_out_cache(SVD, Repository(small_model())) / "unet"
    assert resolve_reverse("svd-reverse") == Reverse(tuned, base)
    assert resolve_reverse("svd-reverse", str(BASE)) == Reverse(tuned, BASE / "unet")


def test_only_the_bases_u_net_is_needed(hub: Hub) -> None:
    tuned = lay_out_cache(ENTRY.repo_id, tuned_repository()) / ENTRY.folder
    files = {n: d for n, d in small_model().items() if n.startswith("unet/")}
    base = lay_out_cache(SVD, Repository(files)) / "unet"
    assert resolve_reverse("svd-reverse") == Reverse(tuned, base)
    assert store.available() == []


def test_what_is_known_for_a_model(hub: Hub, tmp_path: Path) -> None:
    lay_out_cache(XT, Repository(small_model()))
    xt = store.resolve("svd-xt")
    assert known_reverse(xt) is None
    tuned = lay_out_cache(ENTRY.repo_id, tuned_repository()) / ENTRY.folder
    assert known_reverse(xt) is None  # its base is not here
    base = lay_out_cache(SVD, Repository(small_model())) / "unet"
    assert known_reverse(xt) == known_reverse(store.resolve("svd")) == Reverse(tuned, base)
    mine = store.resolve(str(lay_out(tmp_path / "mine", small_model())))
    assert known_reverse(mine) is None


def test_hub_ids_that_go_on_into_the_repository(hub: Hub) -> None:
    base = lay_out_cache(SVD, Repository(small_model())) / "unet"
    folder = lay_out_cache("org/name", tuned_repository("deep/unet"))
    assert resolve_reverse("org/name/deep") == Reverse(folder / "deep/unet", base)
    assert resolve_reverse("org/name/deep/unet") == Reverse(folder / "deep/unet", base)
    file = lay_out_cache("org/small", Repository({"d.safetensors": b""})) / "d.safetensors"
    assert resolve_reverse("org/small/d.safetensors") == Reverse(file)


@pytest.mark.parametrize(
    ("spec", "kind", "message", "hint"),
    [
        ("svd-revers", UsageError, "there is no model called", "did you mean svd-reverse?"),
        ("gone.safetensors", WeightsError, "gone.safetensors is not on this", "check the path"),
        ("./gone", WeightsError, "./gone is not on this machine", "check the path"),
        ("org/name", WeightsError, "org/name is not on this", "vtg models pull org/name"),
    ],
)
def test_what_is_not_there(
    hub: Hub, spec: str, kind: type[VtgError], message: str, hint: str
) -> None:
    error = refusal(spec)
    assert type(error) is kind
    assert error.message.startswith(message) and error.hint.startswith(hint)


def test_a_folder_that_lacks_something(hub: Hub, tmp_path: Path) -> None:
    lay_out(tmp_path / "unet", {WEIGHTS: b""})
    error = refusal(str(tmp_path))
    assert error.message == f"{tmp_path} is no U-Net folder, it lacks config.json"


def test_both_forms_load_the_same_tensors(tmp_path: Path) -> None:
    pair = reverse.load(Reverse(TUNED, BASE))
    file = tmp_path / "reverse.safetensors"
    delta.write(TUNED, BASE, file, dtype="fp32")
    loaded = reverse.load(Reverse(file))
    assert set(loaded) == set(pair)
    assert all(torch.equal(loaded[name], pair[name]) for name in pair)
