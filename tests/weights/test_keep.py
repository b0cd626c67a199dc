"""Checking and removing, in caches laid out as the hub's client leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import XT, Hub, Repository, lay_out, lay_out_cache, sha256, small_model

from vtg_cli.errors import UsageError, WeightsError
from vtg_cli.weights import cache, keep, trust
from vtg_cli.weights.catalog import CATALOG

UNET = "unet/diffusion_pytorch_model.fp16.safetensors"
OLD, NEW = "0" * 40, "1" * 40
PRUNED, TOON = CATALOG["dynamicrafter-512-fp16"], CATALOG["tooncrafter-fp16"]


def problems(name: str) -> dict[str, str]:
    return {bad.file.name: bad.problem for bad in keep.verify(name).bad}


def record(repo_id: str, commit: str, files: dict[str, bytes]) -> None:
    known = {name: trust.Known(len(data), sha256(data)) for name, data in files.items()}
    trust.write(cache.record_path(repo_id), trust.Record(repo_id, commit, known))


def test_what_another_program_fetched_is_held_against_its_blob_s_name(hub: Hub) -> None:
    """Large files are called by their sha256, small ones as git calls them."""
    snapshot = lay_out_cache(XT, Repository(small_model()))
    assert keep.here() == ["svd-xt"] and problems("svd-xt") == {}
    (snapshot / UNET).resolve().write_bytes(b"bad")
    (snapshot / "unet/config.json").resolve().write_bytes(b"bad")
    assert problems("svd-xt") == {
        Path(UNET).name: "other content",
        "config.json": "other content",
    }


def test_a_copy_without_links_and_record_is_unknown(hub: Hub) -> None:
    folder = cache.repo_folder(XT) / "snapshots" / OLD
    lay_out(folder, small_model())
    assert set(problems("svd-xt").values()) == {"unknown"}


def test_a_missing_file_is_named_with_and_without_a_record(hub: Hub) -> None:
    files = small_model()
    snapshot = lay_out_cache(XT, Repository(files, OLD))
    (snapshot / UNET).unlink()
    assert problems("svd-xt") == {"diffusion_pytorch_model[.fp16].safetensors": "missing"}
    record(XT, OLD, files)
    assert problems("svd-xt")[Path(UNET).name] == "missing"


def test_a_folder_is_held_against_its_own_sums(hub: Hub, tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "mine", {"a/b.safetensors": b"one", "c.json": b"two"})
    with pytest.raises(WeightsError, match="has no SHA256SUMS"):
        keep.verify(str(folder))
    lines = [f"{sha256(b'one')}  ./a/b.safetensors", f"{sha256(b'two')} *c.json", ""]
    (folder / "SHA256SUMS").write_text("\n".join(lines))
    verdict = keep.verify(str(folder))
    assert (verdict.files, verdict.size, verdict.bad) == (2, 6, ())
    (folder / "c.json").write_bytes(b"too")
    assert keep.verify(str(folder)).bad == (keep.Bad(folder / "c.json", "other content"),)
    (folder / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(WeightsError, match="is damaged"):
        keep.verify(str(folder))


def test_progress_runs_over_all_bytes(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model()))
    shares: list[float] = []
    keep.verify("svd-xt", lambda share, doing: shares.append(share))
    assert len(shares) == 9 and shares[0] == 0 and shares == sorted(shares) and shares[-1] < 1


def test_a_hub_id_and_what_is_no_name(hub: Hub) -> None:
    lay_out_cache("org/name", Repository(small_model()))
    assert problems("org/name") == {}
    with pytest.raises(UsageError):
        keep.verify("svdxt")
    with pytest.raises(WeightsError, match="not on this machine"):
        keep.verify("org/gone")


def test_a_single_file_inside_a_repository(hub: Hub) -> None:
    snapshot = lay_out_cache("org/name", Repository({"d.safetensors": b"one", "x": b"y"}, OLD))
    name = "org/name/d.safetensors"
    assert (keep.verify(name).files, keep.verify(name).bad) == (1, ())
    record("org/name", OLD, {"d.safetensors": b"two"})
    assert problems(name) == {"d.safetensors": "other content"}
    keep.remove(keep.removal(name))
    assert [file.name for file in snapshot.iterdir()] == ["x"]


def test_entries_that_share_a_repository_do_not_touch_each_other(hub: Hub) -> None:
    files = {PRUNED.files[0]: b"dynamicrafter", TOON.files[0]: b"tooncrafter"}
    snapshot = lay_out_cache(PRUNED.repo_id, Repository(files, OLD))
    record(PRUNED.repo_id, OLD, files)
    assert keep.here() == [PRUNED.name, TOON.name]
    what = keep.removal(PRUNED.name)
    assert what.files == (snapshot / PRUNED.files[0],) and what.foreign == ()
    assert what.stays == (TOON.files[0],) and what.commits == () and what.size == 13
    keep.remove(what)
    assert keep.here() == [TOON.name]
    assert [f.read_bytes() for f in snapshot.iterdir()] == [b"tooncrafter"]
    assert keep.verify(TOON.name).bad == ()


def test_a_removal_takes_every_commit_and_unfinished_parts(hub: Hub) -> None:
    lay_out_cache(XT, Repository(small_model(), OLD))
    lay_out_cache(XT, Repository(small_model(), NEW))
    part = cache.part_of(cache.repo_folder(XT) / "blobs" / "ab")
    part.write_bytes(b"begun")
    what = keep.removal("svd-xt")
    assert sorted(what.commits) == [OLD, NEW] and what.parts == (part,)
    assert what.size == sum(len(data) for data in small_model().values()) + 5
    keep.remove(what)
    assert not cache.repo_folder(XT).exists()


def test_parts_alone_can_be_removed(hub: Hub) -> None:
    part = cache.part_of(cache.repo_folder(XT) / "blobs" / "ab")
    lay_out(part.parent, {part.name: b"begun"})
    keep.remove(keep.removal("svd-xt"))
    assert not part.exists()


def test_an_imported_model_goes_with_its_checkpoint_or_stays(hub: Hub) -> None:
    name = "dynamicrafter-512"
    lay_out_cache(CATALOG[name].repo_id, Repository({"model.ckpt": b"checkpoint"}))
    made = lay_out(cache.imported_folder(name), {"unet.safetensors": b"unet"})
    (made / "SHA256SUMS").write_text(f"{sha256(b'unet')}  unet.safetensors\n")
    assert keep.verify(name).folders[0] == made and keep.verify(name).bad == ()
    keep.remove(keep.removal(name, checkpoint_only=True))
    assert made.is_dir() and not cache.repo_folder(CATALOG[name].repo_id).exists()
    assert keep.here() == [name] and keep.verify(name).files == 1
    what = keep.removal(name)
    assert (what.files, what.made) == ((), made)
    keep.remove(what)
    assert not made.exists() and keep.here() == []


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (small_model(), "org/own"),
        ({"a/unet/config.json": b"{}", f"a/{UNET}": b"x"}, "org/own/a/unet"),
        ({"a/b.safetensors": b"x"}, "org/own/a/b.safetensors"),
    ],
)
def test_what_was_pulled_by_its_hub_id_is_here(
    hub: Hub, files: dict[str, bytes], name: str
) -> None:
    """A repository, a folder in it, a file in it."""
    snapshot = lay_out_cache("org/own", Repository(files, OLD))
    assert keep.here() == []  # another program's
    record("org/own", OLD, files)
    assert keep.here() == [name] and problems(name) == {}
    (snapshot / [*files][-1]).resolve().write_bytes(b"y")
    assert len(problems(name)) == 1
