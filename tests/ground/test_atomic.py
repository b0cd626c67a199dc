"""Whole or not at all: what lies in the folder after success, failure and interruption."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from vtg_cli.errors import MediaError
from vtg_cli.ground.atomic import numbered, replacing, replacing_sequence, write


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_name_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    with replacing(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("done")
        assert not target.exists()
    assert tree(tmp_path) == {"new/a.txt": "done"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["a.txt", "new/deep/a.txt"])
def test_an_exception_leaves_nothing_behind(
    error: type[BaseException], name: str, tmp_path: Path
) -> None:
    with pytest.raises(error), replacing(tmp_path / name) as temporary:
        temporary.write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_an_older_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("older")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert tree(tmp_path) == {"a.txt": "older"}


def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.txt", b"whole")
    assert tree(tmp_path) == {"a.txt": "whole"}

    def full(file: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for name in ("a.txt", "new/b.txt"):
        with pytest.raises(MediaError) as error:
            write(tmp_path / name, b"other")
        assert error.value.message == f"cannot write {tmp_path / name}: No space left on device"
    assert tree(tmp_path) == {"a.txt": "whole"} and not (tmp_path / "new").exists()


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "real.txt").write_text("older")
    (tmp_path / "a.txt").symlink_to("elsewhere/real.txt")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("newer")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "elsewhere" / "real.txt").read_text() == "newer"


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for context in (replacing, replacing_sequence):
        with pytest.raises(MediaError) as caught, context(tmp_path / "file" / "%d.txt"):
            pytest.fail("must not come here")
        assert caught.value.message.startswith(f"cannot write {tmp_path}/file/%d.txt: ")
        assert caught.value.exit_code == 7
    assert tree(tmp_path) == {"file": "x"}


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with (
        pytest.raises(MediaError, match=r"cannot write .*a\.txt: Is a directory"),
        replacing(tmp_path / "a.txt") as temporary,
    ):
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_of_the_block_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), replacing(tmp_path / "a.txt"):
        raise OSError("mine")


def test_a_sequence_moves_at_the_end_and_replaces_an_older_one(tmp_path: Path) -> None:
    older = ("f_00.txt", "f_01.txt", "f_02.txt")
    for name in (*older, "f_100.txt", "f_7.txt", "other.txt"):
        (tmp_path / name).write_text("older")
    with replacing_sequence(tmp_path / "f_%02d.txt", ours=older) as temporary:
        assert temporary.name == "f_%02d.txt"
        for i in range(2):
            Path(str(temporary) % i).write_text(f"new {i}")
        assert (tmp_path / "f_00.txt").read_text() == "older"
    # f_100 is a name of the pattern, but nobody said that it was ours
    assert tree(tmp_path) == {
        "f_00.txt": "new 0",
        "f_01.txt": "new 1",
        "f_100.txt": "older",
        "f_7.txt": "older",
        "other.txt": "older",
    }


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_sequence_leaves_nothing_behind(
    error: type[BaseException], tmp_path: Path
) -> None:
    with (
        pytest.raises(error),
        replacing_sequence(tmp_path / "out" / "frames" / "%04d.txt") as temporary,
    ):
        Path(str(temporary) % 0).write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_numbered_finds_the_files_of_a_pattern_in_order(tmp_path: Path) -> None:
    for name in ("f10.png", "f9.png", "f010.png", "f.png", "f9.png.txt", "g9.png", "fx.png"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in numbered(tmp_path / "f%d.png")] == ["f9.png", "f10.png"]
    assert [path.name for path in numbered(tmp_path / "f%03d.png")] == ["f010.png"]
    assert numbered(tmp_path / "f.png") == []
    assert numbered(tmp_path / "nowhere" / "f%d.png") == []
