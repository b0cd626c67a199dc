"""Names in the making: whose they are, what becomes of those of the dead, and of taken names."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtg_cli.errors import MediaError
from vtg_cli.ground import temporary
from vtg_cli.ground.atomic import replacing, replacing_sequence, write
from vtg_cli.ground.place import Place

KILLED = """
import os, signal, sys
from pathlib import Path
from vtg_cli.ground import place
from vtg_cli.ground.atomic import replacing, replacing_sequence
folder, how = Path(sys.argv[1]), sys.argv[2]
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if how == "file":
    with replacing(folder / "a.txt") as temporary:
        temporary.write_text("half")
        kill()
if how == "folder":
    with replacing_sequence(folder / "new" / "%d.txt") as pattern:
        Path(str(pattern) % 0).write_text("half")
        kill()
if how == "moving":
    give, given = place.Place.give, []
    def third(*arguments, **named):
        given.append(1)
        if len(given) == 3:
            kill()
        give(*arguments, **named)
    place.Place.give = third
    with replacing_sequence(folder / "%d.txt", ours=["0.txt", "1.txt", "7.txt"]) as pattern:
        for i in range(4):
            Path(str(pattern) % i).write_text(f"new {i}")
"""


def killed(folder: Path, how: str) -> None:
    """What a process leaves that ends itself with SIGKILL in the midst of it."""
    process = subprocess.run([sys.executable, "-c", KILLED, str(folder), how], check=False)
    assert process.returncode == -9


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize("how", ["file", "folder"])
def test_what_a_dead_process_left_goes_at_the_next_run(how: str, tmp_path: Path) -> None:
    killed(tmp_path, how)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".vtg-") and left.is_dir() == (how == "folder")
    write(tmp_path / "b.txt", b"next")
    assert tree(tmp_path) == {"b.txt": "next"} and not left.exists()


def test_a_sequence_that_a_kill_left_half_moved_is_put_back(tmp_path: Path) -> None:
    for name in ("0.txt", "1.txt", "7.txt", "9.txt"):
        (tmp_path / name).write_text("older")
    killed(tmp_path, "moving")
    assert (tmp_path / "0.txt").read_text() == "new 0"
    temporary.sweep(tmp_path)
    assert tree(tmp_path) == dict.fromkeys(("0.txt", "1.txt", "7.txt", "9.txt"), "older")


def test_what_a_living_process_or_another_machine_makes_stays(tmp_path: Path) -> None:
    ours = temporary.name()
    _, _, host, pid, start, rest = ours.replace(".", "-").split("-")
    assert (int(pid), len(rest)) == (os.getpid(), 12)
    other = f"{int(host, 16) ^ 1:08x}"
    stay = [
        ours,
        f".vtg-{other}-{2**22 + 1}-5-{rest}",
        f".vtg-{host}-x-{start}-{rest}",
        ".vtg-lock",
    ]
    reused = f".vtg-{host}-{pid}-{int(start) + 1}-{rest}.mp4"  # this pid, but of an earlier process
    gone = [reused, f".vtg-{host}-{2**22 + 1}-5-{rest}"]  # Linux has no pid above 2**22
    for name in (*stay, *gone):
        (tmp_path / name).write_text("x")
    temporary.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stay)


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    for name in ("ä" * 125 + "x.txt", "x." + "y" * 253):
        assert len(name.encode()) == 255
        write(tmp_path / name, b"whole")
        assert (tmp_path / name).read_text() == "whole"


def test_the_loser_of_a_race_keeps_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError) as caught,
        replacing(tmp_path / "a.txt", overwrite=False) as draft,
    ):
        draft.write_text("second")
        (tmp_path / "a.txt").write_text("first")
    assert caught.value.message == f"cannot write {tmp_path}/a.txt: a.txt appeared meanwhile"
    assert caught.value.exit_code == 7
    with pytest.raises(MediaError), replacing_sequence(tmp_path / "new" / "%d.txt") as pattern:
        Path(str(pattern) % 0).write_text("second")
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "0.txt").write_text("first")
    with pytest.raises(MediaError), replacing_sequence(tmp_path / "%d.txt") as pattern:
        for i in range(2):
            Path(str(pattern) % i).write_text("second")
        (tmp_path / "1.txt").write_text("first")
    assert tree(tmp_path) == dict.fromkeys(("1.txt", "a.txt", "new/0.txt"), "first")


def test_a_link_planted_under_the_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious")
    with pytest.raises(MediaError), replacing(tmp_path / "a.txt", overwrite=False) as draft:
        (tmp_path / "a.txt").symlink_to("precious.txt")
    with replacing(tmp_path / "b.txt") as draft:
        draft.write_text("new")
        (tmp_path / "b.txt").symlink_to("precious.txt")
    assert tree(tmp_path) == {"a.txt": "precious", "b.txt": "new", "precious.txt": "precious"}
    assert not (tmp_path / "b.txt").is_symlink()


@pytest.mark.parametrize("name", ["a.txt", "%d.txt"])
def test_a_folder_swapped_for_a_link_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "victim").mkdir()
    context = replacing_sequence if "%" in name else replacing
    with pytest.raises(MediaError) as caught, context(tmp_path / "out" / name) as draft:
        (Path(str(draft) % 0) if "%" in name else draft).write_text("x")
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "out").symlink_to("victim")
    assert caught.value.message.endswith("its folder was replaced by another one meanwhile")
    assert tree(tmp_path) == {} and list((tmp_path / "victim").iterdir()) == []
    assert list((tmp_path / "moved").iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_an_error_midway_puts_a_sequence_back(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("0.txt", "1.txt", "5.txt"):
        (tmp_path / name).write_text("older")
    give = Place.give

    def full(self: Place, name: str, target: str, *, keep: bool = False) -> None:
        if target == "2.txt":
            raise OSError(errno.ENOSPC, "No space left on device")
        give(self, name, target, keep=keep)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Place, "give", full)
    if not links:
        monkeypatch.setattr(os, "link", refused)
    ours = ["0.txt", "1.txt", "5.txt"]
    with (
        pytest.raises(MediaError, match=r"cannot write .*%d\.txt: No space left on device"),
        replacing_sequence(tmp_path / "%d.txt", ours=ours) as pattern,
    ):
        for i in range(3):
            Path(str(pattern) % i).write_text("new")
    assert tree(tmp_path) == dict.fromkeys(ours, "older")
    monkeypatch.setattr(Place, "give", give)
    with replacing_sequence(tmp_path / "%d.txt", ours=ours) as pattern:
        Path(str(pattern) % 0).write_text("new")
    assert tree(tmp_path) == {"0.txt": "new"}


def test_what_cannot_be_put_back_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0.txt").write_text("older")

    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with (
        pytest.raises(MediaError) as caught,
        replacing_sequence(tmp_path / "%d.txt", ours=["0.txt"]) as pattern,
    ):
        Path(str(pattern) % 0).write_text("new")
        monkeypatch.setattr(Place, "give", failing)
        monkeypatch.setattr(temporary, "_put_back", failing)
    (kept,) = tmp_path.glob(".vtg-*/old")
    assert caught.value.message.endswith(
        "Input/output error; then, Input/output error: some pictures are new, and the old ones "
        f"that are lacking lie in {kept}"
    )
    assert (kept / "0.txt").read_text() == "older"


def test_a_folder_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    for content in ("older", "newer"):
        with temporary.folder(tmp_path / "model") as new:
            (new / "a.txt").write_text(content)
    assert tree(tmp_path) == {"model/a.txt": "newer"}
    with pytest.raises(RuntimeError), temporary.folder(tmp_path / "model") as new:
        (new / "a.txt").write_text("half")
        raise RuntimeError
    assert tree(tmp_path) == {"model/a.txt": "newer"}
