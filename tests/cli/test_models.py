"""vtg models: what is printed where, against a hub on localhost and hand-made folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hub_server import XT, XT_BESIDE, XT_WANTED, Hub, Repository, lay_out_cache, small_model
from typer.testing import CliRunner

from vtg_cli.cli.models import app
from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights import delta, store
from vtg_cli.weights.catalog import CATALOG, EMBEDDED_FOLDER

ROOT = Path(__file__).resolve().parents[2]
PARITY = ROOT / "tests" / "data" / "parity"
TUNED, BASE = PARITY / "tiny_svd_reverse", PARITY / "tiny_svd_base14"
REVERSE = CATALOG["svd-reverse"]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result


def refusal(*arguments: object) -> VtgError:
    error = invoke(*arguments).exception
    assert isinstance(error, VtgError)
    return error


def test_the_list_is_a_table_on_stdout(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model()))
    partial = small_model()
    del partial["vae/config.json"]
    lay_out_cache(CATALOG["svd"].repo_id, Repository(partial))
    result = run("list")
    head, *lines = result.stdout.splitlines()
    assert head.split()[:3] == ["NAME", "HERE", "GB"]
    assert [line.split()[:4] for line in lines] == [
        ["tiny", "yes", "0.0", "24"],
        ["svd", "partly", "4.5", "14"],
        ["svd-xt", "yes", "4.5", "25"],
        ["svd-xt-1.1", "no", "4.5", "25"],
        ["svd-reverse", "no", "6.1", "14"],
    ]
    assert ["(gated)" in line for line in lines] == [False, False, False, True, False]
    assert result.stderr == "" and hub.requests == []


def test_the_list_as_json(hub: Hub) -> None:
    snapshot = lay_out_cache(XT, Repository(small_model()))
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert list(rows) == ["tiny", *CATALOG]
    assert rows["tiny"].keys() == rows["svd"].keys() and rows["tiny"]["gb"] < 0.03
    xt: dict[str, Any] = rows["svd-xt"]
    assert (xt["here"], xt["path"], xt["lacking"]) == ("yes", str(snapshot), [])
    assert (xt["gb"], xt["frames"], xt["height"], xt["width"]) == (4.51, 25, 576, 1024)
    assert xt["terms"] == CATALOG["svd-xt"].terms
    assert (rows["svd"]["here"], rows["svd"]["path"]) == ("no", None)


def test_the_embedded_model_needs_no_pull(hub: Hub) -> None:
    result = run("pull", "tiny")
    assert result.stdout == f"{EMBEDDED_FOLDER}\n" and "nothing to fetch" in result.stderr
    assert hub.requests == []


def test_a_pull_says_what_it_fetches_and_prints_the_folder(hub: Hub) -> None:
    repository = Repository(small_model(*XT_BESIDE))
    hub.repositories[XT] = repository
    result = run("pull", "svd-xt")
    folder = store.resolve("svd-xt").folder
    assert result.stdout == f"{folder}\n"
    size = sum(len(repository.files[name]) for name in XT_WANTED)
    entry = CATALOG["svd-xt"]
    assert result.stderr.splitlines() == [
        f"svd-xt: 9 files, {size / 1000:.1f} kB",
        f"  from    {XT} at {repository.commit[:12]}",
        f"  to      {folder}",
        f"  licence {entry.licence}: {entry.terms}",
        "  first pull: commit and hashes are recorded, later pulls must match them",
    ]


def test_a_second_pull_asks_nobody(hub: Hub) -> None:
    hub.repositories[XT] = Repository(small_model())
    run("pull", "svd-xt")
    hub.requests.clear()
    result = run("pull", "svd-xt", "--json")
    found = {"name": "svd-xt", "path": str(store.resolve("svd-xt").folder)}
    assert json.loads(result.stdout) == found
    assert result.stderr == "svd-xt is complete, every file is as recorded\n"
    assert hub.requests == []


def test_a_pull_continues_with_the_commit_that_is_partly_here(hub: Hub) -> None:
    repository = Repository(small_model())
    hub.repositories[XT] = repository
    snapshot = lay_out_cache(XT, repository)
    unet = "unet/diffusion_pytorch_model.fp16.safetensors"
    (snapshot / unet).resolve().unlink()
    (snapshot / unet).unlink()
    result = run("pull", "svd-xt")
    assert result.stdout == f"{snapshot}\n"
    kept = sum(len(data) for name, data in repository.files.items() if name != unet)
    assert f", {kept / 1000:.1f} kB of it here already\n" in result.stderr
    assert [r for r in hub.requests if r.startswith("GET /lfs")] != []
    assert len([r for r in hub.requests if "/resolve/" in r or "/lfs/" in r]) == 2  # HEAD and GET


def test_a_reverse_u_net_says_what_to_make_of_it(hub: Hub) -> None:
    files = {f"{REVERSE.folder}/{name}": b"{}" for name in REVERSE.files}
    hub.repositories[REVERSE.repo_id] = Repository(files)
    assert (
        "vtg models delta --tuned svd-reverse --base svd -o reverse.safetensors\n"
        in run("pull", "svd-reverse").stderr
    )


def test_an_uncatalogued_pull_points_to_its_licence(hub: Hub) -> None:
    hub.repositories["org/name"] = Repository(small_model())
    result = run("pull", "org/name")
    assert "  licence see https://huggingface.co/org/name\n" in result.stderr
    assert result.stdout == f"{store.resolve('org/name').folder}\n"


@pytest.mark.parametrize(
    ("name", "kind", "code"), [("svdxt", UsageError, 2), ("org/gone", WeightsError, 5)]
)
def test_a_pull_of_nothing(hub: Hub, name: str, kind: type[VtgError], code: int) -> None:
    error = refusal("pull", name)
    assert type(error) is kind and error.exit_code == code and error.subject == name


def test_a_pull_honours_the_hubs_variables(hub: Hub) -> None:
    """In a child process, which has only the environment to go by."""
    hub.repositories[XT] = Repository(small_model(), gated="hf_token")
    code = "from vtg_cli.cli.models import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, "pull", "svd-xt"],
        cwd=ROOT,
        env={**os.environ, "HF_TOKEN": "hf_token"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{store.resolve('svd-xt').folder}\n"
    assert done.stdout.startswith(os.environ["HF_HOME"])
    assert len(done.stderr.splitlines()) == 5  # what is fetched; no bars without a terminal


def test_a_delta(tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    result = run("delta", "--tuned", TUNED, "--base", BASE, "-o", out)
    assert result.stdout == f"{out}  {out.stat().st_size / 1000:.1f} kB\n"
    assert result.stderr == ""
    assert len(delta.load(out)) == 8


def test_a_delta_as_json_replaces_a_file_when_told(tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    arguments = ("delta", "--tuned", TUNED, "--base", BASE, "-o", out, "--dtype", "fp32")
    run(*arguments)
    assert type(refusal(*arguments)) is UsageError
    facts = json.loads(run(*arguments, "--overwrite", "--json").stdout)
    assert facts == {
        "path": str(out),
        "bytes": out.stat().st_size,
        "tensors": 8,
        "parameters": 14336,
        "unchanged": 4,
    }
    assert facts["bytes"] > 4 * 14336


def test_a_delta_takes_names_and_svd_is_the_base(hub: Hub, tmp_path: Path) -> None:
    out = tmp_path / "reverse.safetensors"
    error = refusal("delta", "--tuned", TUNED, "-o", out)
    assert error.message == "svd (4.5 GB) is not on this machine"
    assert error.hint == "vtg models pull svd"
    for repo_id, inside, source in (
        (CATALOG["svd"].repo_id, "unet", BASE),
        (REVERSE.repo_id, REVERSE.folder, TUNED),
    ):
        names = ("config.json", "diffusion_pytorch_model.safetensors")
        files = {f"{inside}/{name}": (source / "unet" / name).read_bytes() for name in names}
        lay_out_cache(repo_id, Repository(files))
    run("delta", "--tuned", "svd-reverse", "-o", out)
    assert set(delta.load(out)) == set(delta.from_pair(TUNED, BASE))


def test_a_delta_needs_its_options() -> None:
    assert invoke("delta", "--tuned", TUNED).exit_code == 2
    assert "--output" in invoke("delta", "--tuned", TUNED).stderr
