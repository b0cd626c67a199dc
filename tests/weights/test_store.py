"""Names to folders. The cache is laid out by hand, as the hub's client documents it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import XT, Hub, Repository, lay_out, lay_out_cache, sha256, small_model

from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights import cache, store, trust
from vtg_cli.weights.catalog import CATALOG

ROOT = Path(__file__).resolve().parents[2]
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
OLD, NEW = "0" * 40, "1" * 40


def refusal(model: str) -> VtgError:
    with pytest.raises(VtgError) as caught:
        store.resolve(model)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def test_a_catalogue_name(hub: Hub) -> None:
    snapshot = lay_out_cache(XT, Repository(small_model()))
    assert store.resolve("svd-xt") == store.Source("svd-xt", snapshot, XT, CATALOG["svd-xt"])
    assert store.available() == ["svd-xt"]
    assert hub.requests == []


def test_a_folder(hub: Hub, tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "mine", small_model())
    assert store.resolve(str(folder)) == store.Source(str(folder), folder)


def test_a_folder_of_two_words_wins_over_a_hub_id(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out_cache("org/name", Repository(small_model()))
    monkeypatch.chdir(tmp_path)
    assert store.resolve("org/name").repo_id == "org/name"
    lay_out(tmp_path / "org" / "name", small_model())
    assert store.resolve("org/name") == store.Source("org/name", Path("org/name"))


def test_a_catalogue_name_wins_over_a_folder(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path / "svd-xt", small_model())
    assert refusal("svd-xt").message == "svd-xt (4.5 GB) is not on this machine"
    assert store.resolve("./svd-xt").folder == Path("svd-xt")


def test_a_hub_id(hub: Hub) -> None:
    snapshot = lay_out_cache("org/name", Repository(small_model()))
    assert store.resolve("org/name") == store.Source("org/name", snapshot, "org/name")


@pytest.mark.parametrize(
    ("model", "kind", "message", "hint"),
    [
        ("svd-xt", WeightsError, "svd-xt (4.5 GB) is not on", "vtg models pull svd-xt"),
        (
            "svd-xt-1.1",
            WeightsError,
            "svd-xt-1.1 (4.5 GB) is not on",
            "vtg models pull svd-xt-1.1 (first accept its terms at https://huggingface.co/stability",
        ),
        ("svdxt", UsageError, "there is no model called 'svdxt'", "did you mean svd-xt?"),
        ("svd-reverse", UsageError, "svd-reverse is a reverse-motion", "--reverse svd-reverse"),
        ("tooncrafter", UsageError, "this version of vtg does not run tooncrafter", "known: "),
        ("dinov2-base", UsageError, "dinov2-base is no model but a part of others", "known: "),
        (
            "dynamicrafter-512-interp",
            WeightsError,
            "dynamicrafter-512-interp (10.4 GB) is not on this machine",
            "vtg models pull dynamicrafter-512-interp",
        ),
        (
            "animatelcm-svd-xt",
            WeightsError,
            "animatelcm-svd-xt (6.1 GB, and svd-xt 4.5 GB) is not on this machine",
            "vtg models pull animatelcm-svd-xt",
        ),
        ("org/name", WeightsError, "org/name is no folder here", "vtg models pull org/name"),
        ("./gone", WeightsError, "there is no model folder ./gone", ""),
        ("~/gone/svd-xt", WeightsError, "there is no model folder ~/gone", "did you mean svd-xt?"),
        ("models/a/b", WeightsError, "there is no model folder models/a/b", ""),
        ("", UsageError, "there is no model called ''", "known: "),
    ],
)
def test_what_is_not_there(
    hub: Hub, model: str, kind: type[VtgError], message: str, hint: str
) -> None:
    error = refusal(model)
    assert type(error) is kind
    assert error.subject == model
    assert error.message.startswith(message)
    assert error.hint.startswith(hint)


def test_an_incomplete_folder_says_what_it_lacks(tmp_path: Path) -> None:
    files = small_model()
    del files[UNET], files["vae/config.json"]
    folder = lay_out(tmp_path / "mine", files)
    lacking = "unet/diffusion_pytorch_model[.fp16].safetensors, vae/config.json"
    assert (
        refusal(str(folder)).message == f"{folder} is no complete model folder, it lacks {lacking}"
    )


def test_a_single_file_is_no_model_folder(tmp_path: Path) -> None:
    file = tmp_path / "svd_xt.safetensors"
    file.write_bytes(b"")
    assert refusal(str(file)).message.startswith(f"{file} is a single file")


@pytest.mark.parametrize("how", ["never came", "blob gone"])
def test_an_incomplete_copy_in_the_cache_names_the_file(hub: Hub, how: str) -> None:
    snapshot = lay_out_cache(XT, Repository(small_model()))
    if how == "never came":
        (snapshot / UNET).unlink()
    else:
        (snapshot / UNET).resolve().unlink()
    error = refusal("svd-xt")
    assert type(error) is WeightsError
    assert error.message == (
        f"svd-xt is not complete: {snapshot} lacks unet/diffusion_pytorch_model[.fp16].safetensors"
    )
    assert error.hint == "vtg models pull svd-xt fetches what is missing"
    assert store.available() == []


def test_a_complete_commit_wins_over_a_newer_partial_one(hub: Hub) -> None:
    partial = small_model()
    del partial[UNET]
    complete = lay_out_cache(XT, Repository(small_model(), OLD), main=False)
    lay_out_cache(XT, Repository(partial, NEW))
    assert store.resolve("svd-xt").folder == complete


def test_the_trusted_commit_wins_over_main(hub: Hub) -> None:
    trusted = lay_out_cache(XT, Repository(small_model(), OLD), main=False)
    main = lay_out_cache(XT, Repository(small_model(), NEW))
    assert store.resolve("svd-xt").folder == main
    trust.write(cache.record_path(XT), trust.Record(XT, OLD))
    assert store.resolve("svd-xt").folder == trusted


def test_a_file_of_another_size_than_recorded_is_damaged(hub: Hub) -> None:
    files = small_model()
    snapshot = lay_out_cache(XT, Repository(files, OLD))
    known = {name: trust.Known(len(data), sha256(data)) for name, data in files.items()}
    trust.write(cache.record_path(XT), trust.Record(XT, OLD, known))
    assert store.resolve("svd-xt").folder == snapshot
    with (snapshot / UNET).resolve().open("r+b") as file:
        file.truncate(10)
    error = refusal("svd-xt")
    assert error.message == f"svd-xt is damaged: {UNET} has 10 bytes, not {len(files[UNET])}"
    assert error.hint == "vtg models pull svd-xt fetches it again"


def test_identity_is_the_sha256_of_what_is_used(hub: Hub, tmp_path: Path) -> None:
    files = small_model("README.md")
    used = {name: sha256(data) for name, data in files.items()}
    del used["README.md"], used["feature_extractor/preprocessor_config.json"]
    folder = lay_out(tmp_path / "mine", files)
    assert store.identity(folder) == used
    assert store.identity(lay_out_cache(XT, Repository(files))) == used
    assert store.identity(folder / UNET) == {Path(UNET).name: used[UNET]}


def test_identity_of_a_large_file_in_the_cache_is_its_blobs_name(hub: Hub) -> None:
    """Not read again, and not taken from the store of shared blobs, which is named otherwise."""
    files = small_model()
    snapshot = lay_out_cache(XT, Repository(files))
    blob = (snapshot / UNET).resolve()
    shared = blob.parents[2] / "blobs" / "ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    shared.write_bytes(b"never read")
    blob.unlink()
    blob.symlink_to(shared)
    assert store.identity(snapshot)[UNET] == sha256(files[UNET])


def test_identity_of_an_imported_folder_is_in_its_sums_unless_a_file_is_newer(
    tmp_path: Path,
) -> None:
    folder = lay_out(tmp_path / "mine", {"unet.safetensors": b"one", "README.md": b""})
    (folder / "SHA256SUMS").write_text(f"{'ab' * 32}  unet.safetensors\n")
    written = (folder / "SHA256SUMS").stat().st_mtime_ns
    os.utime(folder / "unet.safetensors", ns=(written, written))
    assert store.identity(folder) == {"unet.safetensors": "ab" * 32}
    os.utime(folder / "unet.safetensors", ns=(written, written + 1))
    assert store.identity(folder) == {"unet.safetensors": sha256(b"one")}


OFFLINE = """
import json, sys

def refuse(event, args):
    if event.startswith("socket."):
        raise AssertionError(f"{event} {args}")

sys.addaudithook(refuse)
from vtg_cli.errors import WeightsError
from vtg_cli.weights import reverse, store

source = store.resolve("svd-xt")
try:
    store.resolve("svd")
    missing = None
except WeightsError as error:
    missing = error.message
print(json.dumps({
    "folder": str(source.folder),
    "available": store.available(),
    "identity": store.identity(source.folder),
    "missing": missing,
    "reverse": reverse.known_reverse(source),
    "recheck": store.recheck("svd-xt"),
    "heavy": sorted({"torch", "diffusers", "safetensors", "httpx", "httpx2"} & set(sys.modules)),
}))
"""


def test_without_any_socket_what_is_here_is_found(hub: Hub) -> None:
    """In a child process in which opening a socket is an error; the place comes from HF_HOME."""
    files = small_model()
    snapshot = lay_out_cache(XT, Repository(files))
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {
        "folder": str(snapshot),
        "available": ["svd-xt"],
        "identity": store.identity(snapshot),
        "missing": "svd (4.5 GB) is not on this machine",
        "reverse": None,
        "recheck": None,
        "heavy": [],
    }
    assert hub.requests == []
