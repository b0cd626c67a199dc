"""vtg models list, info, path and licence: what is printed, for a cache laid out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hub_server import XT, Hub, Repository, lay_out, lay_out_cache, sha256, small_model
from typer.testing import CliRunner

from vtg_cli.cli import model_facts
from vtg_cli.cli.models import app
from vtg_cli.errors import UsageError, VtgError, WeightsError
from vtg_cli.weights import cache, licence, trust
from vtg_cli.weights.catalog import CATALOG, EMBEDDED_FOLDER

PARITY = Path(__file__).resolve().parents[1] / "data" / "parity"
UNET = "unet/diffusion_pytorch_model.fp16.safetensors"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refusal(*arguments: object) -> VtgError:
    error = invoke(*arguments).exception
    assert isinstance(error, VtgError), error
    assert "\n" not in error.message + error.hint
    return error


def test_the_list_is_a_table_on_stdout(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model()))
    partial = small_model()
    del partial["vae/config.json"]
    lay_out_cache(CATALOG["svd"].repo_id, Repository(partial))
    result = run("list")
    head, *lines = result.stdout.splitlines()
    assert head.split()[:3] == ["NAME", "HERE", "GB"]
    rows = {line.split()[0]: line for line in lines}
    assert list(rows) == ["tiny", "flow", *CATALOG]
    told = {name: line.split()[1:5] for name, line in rows.items()}
    assert told["tiny"] == ["yes", "0.0", "24", "any"]
    assert told["flow"] == ["yes", "0.0", "-", "any"]
    assert told["svd"] == ["partly", "4.5", "14", "1024x576"]
    assert told["svd-xt"] == ["yes", "4.5", "25", "1024x576"]
    assert told["svd-xt-1.1"] == ["no", "4.5", "25", "1024x576"]
    assert told["dynamicrafter-512-interp"] == ["no", "10.4", "16", "512x320"]
    assert told["dinov2-base"] == ["no", "0.3", "-", "-"]
    assert [name for name, line in rows.items() if "(gated)" in line] == ["svd-xt-1.1"]
    kept = [name for name, line in rows.items() if "(not run by vtg yet)" in line]
    assert kept == ["tooncrafter-fp16", "tooncrafter"]
    assert result.stderr == "" and hub.requests == []


def test_the_list_as_json(hub: Hub) -> None:
    snapshot = lay_out_cache(XT, Repository(small_model()))
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert list(rows) == ["tiny", "flow", *CATALOG]
    assert rows["flow"].keys() == rows["tiny"].keys() and rows["flow"]["path"] is None
    assert rows["tiny"].keys() == rows["svd"].keys() and rows["tiny"]["gb"] < 0.03
    xt: dict[str, Any] = rows["svd-xt"]
    assert (xt["here"], xt["path"], xt["lacking"]) == ("yes", str(snapshot), [])
    assert (xt["gb"], xt["frames"], xt["height"], xt["width"]) == (4.51, 25, 576, 1024)
    assert xt["terms"] == CATALOG["svd-xt"].terms and xt["prompts"] is False
    assert xt["tiers"][0] == {
        "gb": 16,
        "how": "all of it on the GPU, --decode-chunk 2",
        "published": False,
    }
    assert (rows["svd"]["here"], rows["svd"]["path"]) == ("no", None)


def test_the_list_of_some(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model()))
    here = [row["name"] for row in json.loads(run("list", "--here", "--json").stdout)]
    assert here == ["tiny", "flow", "svd-xt"]
    free = [row["name"] for row in json.loads(run("list", "--commercial", "--json").stdout)]
    assert "dynamicrafter-512-interp" in free and not {"svd", "svd-reverse"} & set(free)


def test_info_of_what_is_not_here(hub: Hub) -> None:
    assert run("info", "dynamicrafter-512-interp-fp16").stdout.splitlines() == [
        "name        dynamicrafter-512-interp-fp16",
        "what        DynamiCrafter, keyframes at both ends, pruned to half precision",
        "here        no",
        "repository  Kijai/DynamiCrafter_pruned",
        "revision    not pinned: the first pull records",
        "size        3.1 GB",
        "needs       openclip-vit-h, 4.0 GB",
        "licence     Apache-2.0: Half-precision copy of an Apache-2.0 model, free for any use; "
        "its own page states no licence.",
        "commercial  yes",
        "memory      12.8 GB (published): all of it on the GPU",
        "draws       512x320, 16 frames, reads prompts",
        "file        dynamicrafter_512_interp_fp16_pruned.safetensors  not pulled yet",
    ]
    assert hub.requests == []


def test_info_of_what_was_pulled(hub: Hub) -> None:
    files = small_model()
    snapshot = lay_out_cache(XT, Repository(files))
    known = {name: trust.Known(len(data), sha256(data)) for name, data in files.items()}
    trust.write(cache.record_path(XT), trust.Record(XT, snapshot.name, known))
    licence.accept(CATALOG["svd-xt"], "2026-01-02")
    found = json.loads(run("info", "svd-xt", "--json").stdout)
    assert (found["revision"], found["pinned"]) == (snapshot.name, False)
    assert {f["name"]: f["sha256"] for f in found["files"]} == {
        name: sha256(data) for name, data in files.items()
    }
    assert (found["accepted"], found["must_accept"], found["here"]) == ("2026-01-02", True, "yes")
    text = run("info", "svd-xt").stdout
    assert f"revision    {snapshot.name}, recorded at the first pull\n" in text
    assert "commercial  below US$1M a year, accepted on 2026-01-02\n" in text
    assert "draws       1024x576, 25 frames, no prompts\nreverse     svd-reverse\n" in text
    assert f"{UNET}  {len(files[UNET]) / 1000:.0f} kB  {sha256(files[UNET])}\n" in text


def test_info_of_the_embedded_model_a_folder_and_a_hub_id(hub: Hub, tmp_path: Path) -> None:
    assert "licence     Apache-2.0: Part of vtg.\n" in run("info", "tiny").stdout
    assert run("info", "flow").stdout.splitlines() == [
        "name        flow",
        "what        optical flow, no network: drafts in seconds",
        "here        yes",
        "licence     Apache-2.0: Part of vtg.",
        "commercial  yes",
    ]
    assert refusal("path", "flow").message == "flow is part of vtg and has no files on a hub"
    assert run("licence", "flow").stdout.startswith("flow: Apache-2.0\n")
    mine = refusal("licence", tmp_path)
    assert mine.message == f"{tmp_path} is a folder of yours, whose terms vtg does not know"
    found = json.loads(run("info", PARITY / "tiny_svd", "--json").stdout)
    assert (found["frames"], found["prompts"], found["here"]) == (6, False, "yes")
    assert "unet/config.json" in [file["name"] for file in found["files"]]
    snapshot = lay_out_cache("org/name", Repository(small_model()))
    assert f"here        yes, {snapshot}\n" in run("info", "org/name").stdout
    assert type(refusal("info", "svdxt")) is UsageError
    assert type(refusal("info", tmp_path / "gone")) is WeightsError


def test_the_path_of_what_is_complete(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = lay_out_cache(XT, Repository(small_model()))
    assert run("path", "svd-xt").stdout == f"{snapshot}\n"
    assert run("path", "tiny").stdout == f"{EMBEDDED_FOLDER}\n"
    folder = PARITY / "tiny_svd"
    monkeypatch.chdir(folder.parent)
    assert run("path", "./tiny_svd").stdout == f"{folder}\n"
    assert json.loads(run("path", "svd-xt", "--json").stdout)["path"] == str(snapshot)
    error = refusal("path", "svd")
    assert error.exit_code == 5 and error.hint == "vtg models pull svd"
    assert refusal("path", "dinov2-base").hint == "vtg models pull dinov2-base"
    (snapshot / UNET).resolve().unlink()
    assert "is not complete" in refusal("path", "svd-xt").message


def test_the_licence_is_shown_and_accepted_once(hub: Hub) -> None:
    entry = CATALOG["svd"]
    assert run("licence", "svd").stdout.splitlines() == [
        "svd: Stability AI Community",
        f"{entry.terms} Commercial use: below US$1M a year.",
        f"https://huggingface.co/{entry.repo_id}",
        "not accepted yet: vtg models licence svd --accept",
    ]
    assert "accepted on 20" in run("licence", "svd", "--accept").stdout
    found = json.loads(run("licence", "svd-xt", "--json").stdout)  # the same terms
    assert found["accepted"] == licence.accepted(entry) and found["must_accept"]
    assert licence.accepted(CATALOG["svd-xt-1.1"]) is None  # others
    free = json.loads(run("licence", "dinov2-base", "--json").stdout)
    assert (free["accepted"], free["must_accept"]) == (None, False)
    assert "not accepted" not in run("licence", "dinov2-base").stdout
    assert run("licence", "tiny").stdout.startswith("tiny: Apache-2.0\nPart of vtg.")
    assert "https://huggingface.co/org/name" in run("licence", "org/name").stdout
    assert refusal("licence", "svdxt").exit_code == 2


def test_facts_are_the_catalogue_s(hub: Hub, tmp_path: Path) -> None:
    """An imported model is here when its folder is, whatever became of its checkpoint."""
    entry = CATALOG["dynamicrafter-512"]
    assert model_facts.facts(entry)["here"] == "no"
    lay_out_cache(entry.repo_id, Repository({"model.ckpt": b"x"}))
    assert model_facts.facts(entry)["here"] == "partly"
    error = refusal("path", entry.name)
    assert (error.message, error.hint) == (
        "dynamicrafter-512 is on this machine, but clip-vocabulary is not, which it needs",
        "vtg models pull dynamicrafter-512 fetches that too",
    )
    vocabulary = CATALOG["clip-vocabulary"]
    lay_out_cache(vocabulary.repo_id, Repository(dict.fromkeys(vocabulary.files, b"x")))
    assert "not imported yet" in refusal("path", entry.name).message
    names = ("model_index.json", "config.json")
    parts = ("unet", "resampler", "autoencoder", "image_tower", "text_tower")
    made = dict.fromkeys((*names, *(f"{part}.safetensors" for part in parts)), b"{}")
    folder = lay_out(cache.imported_folder(entry.name), made)
    facts = model_facts.facts(entry)
    assert (facts["here"], facts["path"]) == ("yes", str(folder))
