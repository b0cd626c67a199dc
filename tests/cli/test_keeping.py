"""vtg models verify and rm: what is named, what goes and what stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from hub_server import XT, Hub, Repository, lay_out_cache, sha256, small_model
from typer.testing import CliRunner

from vtg_cli.cli import keeping
from vtg_cli.cli.models import app
from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights import cache, trust

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"


def invoke(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=text)


def run(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refusal(*arguments: object) -> VtgError:
    error = invoke(*arguments).exception
    assert isinstance(error, VtgError), error
    return error


@pytest.fixture
def pulled(hub: Hub) -> Path:
    """svd-xt, as a pull leaves it."""
    files = small_model()
    snapshot = lay_out_cache(XT, Repository(files))
    known = {name: trust.Known(len(data), sha256(data)) for name, data in files.items()}
    trust.write(cache.record_path(XT), trust.Record(XT, snapshot.name, known))
    return snapshot


def test_all_is_good(pulled: Path, hub: Hub) -> None:
    size = sum(len(data) for data in small_model().values())
    assert run("verify").stdout == f"svd-xt  9 files, {size / 1000:.0f} kB: good\n"
    (found,) = json.loads(run("verify", "svd-xt", "--json").stdout)
    assert found == {
        "name": "svd-xt",
        "folders": [str(pulled)],
        "files": 9,
        "bytes": size,
        "bad": [],
    }
    assert hub.requests == []


def test_each_bad_file_is_named_and_the_exit_code_is_5(pulled: Path) -> None:
    (pulled / UNET).resolve().write_bytes(bytes(len(small_model()[UNET])))
    (pulled / "vae/config.json").resolve().write_bytes(b"short")
    (pulled / "model_index.json").resolve().unlink()
    result = invoke("verify", "svd-xt")
    error = result.exception
    assert type(error) is WeightsError and error.exit_code == 5
    assert error.hint == "vtg models pull svd-xt fetches what is bad again"
    head, *bad = result.stdout.splitlines()
    assert head.endswith(": 3 bad")
    assert bad == [
        f"  missing: {pulled / 'model_index.json'}",
        f"  other content: {pulled / UNET}",
        f"  other size: {pulled / 'vae/config.json'}",
    ]


def test_nothing_to_verify(hub: Hub) -> None:
    result = run("verify")
    assert result.stdout == "" and result.stderr == "no model has been pulled to this machine\n"
    assert json.loads(run("verify", "--json").stdout) == []
    assert refusal("verify", "svd").hint == "vtg models pull svd"
    assert type(refusal("verify", "tiny")) is UsageError


def test_rm_asks_unless_told(pulled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = refusal("rm", "svd-xt")
    assert type(error) is UsageError and error.hint == "vtg models rm svd-xt --yes"
    monkeypatch.setattr(keeping, "asks", lambda: True)
    no = invoke("rm", "svd-xt", text="n\n")
    assert (no.exit_code, no.stdout) == (0, "") and no.stderr.endswith("nothing was removed\n")
    assert (pulled / UNET).is_file()
    done = invoke("rm", "svd-xt", text="y\n")
    size = sum(len(data) for data in small_model().values()) / 1000
    assert done.exit_code == 0 and done.stdout == f"removed svd-xt, {size:.0f} kB\n"
    assert f"Remove {size:.0f} kB?" in done.stderr
    assert not cache.repo_folder(XT).exists()
    assert cache.record_path(XT).is_file()  # a later pull must bring the same


def test_what_vtg_did_not_pull_is_said(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model("README.md", "svd_xt.safetensors")))
    result = run("rm", "svd-xt", "--yes", "--json")
    assert "of these, vtg did not pull: feature_extractor/" in result.stderr
    assert "others of the repository stay: README.md, svd_xt.safetensors\n" in result.stderr
    assert json.loads(result.stdout)["files"] == 9
    left = [
        f.name for f in cache.repo_folder(XT).rglob("*") if f.is_file() and "blobs" not in str(f)
    ]
    assert sorted(left) == ["README.md", "main", "svd_xt.safetensors"]
    assert len([*(cache.repo_folder(XT) / "blobs").iterdir()]) == 2


def test_what_is_not_removed(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert "a folder of yours" in refusal("rm", tmp_path / "mine", "--yes").message
    assert "part of vtg" in refusal("rm", "tiny", "--yes").message
    assert refusal("rm", "svd", "--yes").message == "nothing of svd is on this machine"
    assert (tmp_path / "mine").is_dir()
