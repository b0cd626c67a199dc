"""vtg run: the report beside a clip makes the clip again, or says why it cannot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reading import read_video

from vtg_cli.cli import main
from vtg_cli.media.image import read_image

TINY = Path(__file__).parents[1] / "data" / "parity"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures to stand in; no weights on the machine."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, shift in (("a.png", 0), ("b.png", 11)):
        y, x = np.mgrid[:32, :48]
        waves = [np.sin((x + shift) / 6) + np.cos((y - shift) / (4 + c)) for c in range(3)]
        Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(name)
    return folder


def vtg(*arguments: str) -> int:
    return main([*arguments, "-q"])


def changed(**fields: Any) -> None:
    """The report clip.mkv.json with other values at its top."""
    report = json.loads(Path("clip.mkv.json").read_text(encoding="utf-8"))
    Path("clip.mkv.json").write_text(json.dumps({**report, **fields}), encoding="utf-8")


MADE = ("interpolate", "a.png", "b.png", "-o", "clip.mkv", "--frames", "7", "--ease", "ease-in")


def test_the_same_frames_again_bit_for_bit() -> None:
    assert vtg(*MADE, "--fit", "pad", "--height", "40", "--width", "40") == 0
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv") == 0
    first, again = read_video("clip.mkv"), read_video("again.mkv")
    assert first[0].shape == (7, 40, 40, 3)
    assert np.array_equal(first[0], again[0]) and first[1] == again[1]
    one, two = (json.loads(Path(name).read_text()) for name in ("clip.mkv.json", "again.mkv.json"))
    told = {"seconds", "job", "model"}  # times, the output's name, and that the model was asked for
    assert {k: v for k, v in one.items() if k not in told} == {
        k: v for k, v in two.items() if k not in told
    }
    assert one["job"] | {"output": "again.mkv"} == two["job"]


def test_a_diffusion_clip_comes_again_as_well() -> None:
    """Method, steps, seed, precision and reverse-motion weights all come from the report."""
    weights = ["--reverse", str(TINY / "tiny_svd_reverse")]
    weights += ["--reverse-base", str(TINY / "tiny_svd_base14")]
    sampling = ["--steps", "2", "--renoise", "1", "--seed", "5", "--guidance", "1:2"]
    size = ["--width", "24", "--height", "16", "--device", "cpu"]
    model = ["--model", str(TINY / "tiny_svd"), *weights, *sampling, *size]
    assert vtg("interpolate", "a.png", "b.png", "-o", "clip.mkv", *model) == 0
    report = json.loads(Path("clip.mkv.json").read_text())
    assert report["job"]["sampling"]["method"] == "gi"
    assert report["job"]["dtype"] == "fp32"
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv") == 0
    first, again = read_video("clip.mkv")[0], read_video("again.mkv")[0]
    assert first.shape == (6, 16, 24, 3)
    assert np.array_equal(first, again)


def test_a_sequence_comes_again_file_for_file(tmp_path: Path) -> None:
    assert vtg("interpolate", "a.png", "b.png", "-o", "out/%03d.png", "--frames", "4") == 0
    assert vtg("run", "out/%03d.png.json", "-o", "again/%03d.png") == 0
    for i in range(4):
        assert np.array_equal(read_image(f"out/{i:03}.png"), read_image(f"again/{i:03}.png"))


def test_clip_pictures_and_report_may_move_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vtg(*MADE) == 0
    first, _ = read_video("clip.mkv")
    shutil.move(tmp_path / "here", tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    assert vtg("run", "there/clip.mkv.json", "-o", "again.mkv") == 0
    assert np.array_equal(first, read_video("again.mkv")[0])


def test_without_o_the_clip_itself_is_made_again(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*MADE) == 0
    assert vtg("run", "clip.mkv.json") == 2
    assert "clip.mkv exists" in capfd.readouterr().err
    first, _ = read_video("clip.mkv")
    assert vtg("run", "clip.mkv.json", "--overwrite") == 0
    assert np.array_equal(first, read_video("clip.mkv")[0])
    assert vtg("run", "clip.mkv.json", "--skip-existing") == 0


def test_another_suffix_is_another_encoding_of_the_same_clip() -> None:
    assert vtg("interpolate", "a.png", "b.png", "-o", "c.mp4", "--frames=5", "--crf=30") == 0
    assert vtg("run", "c.mp4.json", "-o", "c2.mkv") == 0
    clip, _ = read_video("c2.mkv")
    assert np.array_equal(clip[0], read_image("a.png")) and len(clip) == 5


def test_a_keyframe_that_changed_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*MADE) == 0
    Image.fromarray(255 - read_image("b.png")).save("b.png")
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv") == 7
    assert "b.png has changed since clip.mkv.json was written" in capfd.readouterr().err
    Path("b.png").unlink()
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv") == 7
    assert "no such file: b.png" in capfd.readouterr().err
    assert not Path("again.mkv").exists()


@pytest.mark.parametrize("inputs", [[], [{"sha256": "0"}], [{"sha256": "0"}] * 3])
def test_a_report_of_other_inputs_than_its_job_has_is_none(
    inputs: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    assert vtg(*MADE) == 0
    changed(inputs=inputs)
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv") == 2
    assert "clip.mkv.json is not a report of vtg" in capfd.readouterr().err


def test_weights_that_changed_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*MADE) == 0
    changed(weights={"model": {"unet/x.safetensors": "0" * 64}})
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv") == 5
    assert "the model weights are not those clip.mkv.json was made with" in capfd.readouterr().err


def test_another_version_is_said_and_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*MADE) == 0
    versions = json.loads(Path("clip.mkv.json").read_text())["versions"]
    changed(versions={**versions, "numpy": "1.0"})
    assert main(["run", "clip.mkv.json", "-o", "again.mkv"]) == 0
    err = capfd.readouterr().err
    assert "made with numpy 1.0, this is" in err
    assert len(err.splitlines()) == 1  # the model was decided then: no line about it now


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 7, "there is no file clip.mkv.json"),
        ("not json", 2, "clip.mkv.json is not a report of vtg"),
        ("[]", 2, "clip.mkv.json is not a report of vtg"),
        ('{"schema": "other"}', 2, "clip.mkv.json is not a report of vtg"),
        ('{"schema": "vtg-sidecar", "version": 99}', 2, "a report of version 99"),
        ('{"schema": "vtg-sidecar", "version": 1}', 2, "clip.mkv.json is not a report of vtg"),
        (
            '{"schema": "vtg-sidecar", "version": 1, "job": {"kind": "interpolate"}}',
            2,
            "clip.mkv.json: job.keyframes is missing",
        ),
    ],
)
def test_what_is_no_report_is_refused(
    content: str | None, code: int, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("clip.mkv.json").write_text(content)
    assert vtg("run", "clip.mkv.json") == code
    assert said in capfd.readouterr().err


def test_a_dry_run_of_a_report_tells_its_plan(capfd: pytest.CaptureFixture[str]) -> None:
    assert vtg(*MADE) == 0
    capfd.readouterr()
    assert vtg("run", "clip.mkv.json", "-o", "again.mkv", "--dry-run") == 0
    assert "again.mkv: 7 frames at 24 a second" in capfd.readouterr().out
    assert not Path("again.mkv").exists()


def test_a_report_older_than_a_field_makes_its_clip_and_says_so(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert vtg(*MADE) == 0
    report = json.loads(Path("clip.mkv.json").read_text())
    del report["job"]["endpoints"], report["job"]["sampling"]["init"]
    Path("clip.mkv.json").write_text(json.dumps(report))
    capfd.readouterr()
    assert main(["run", "clip.mkv.json", "-o", "again.mkv"]) == 0
    assert capfd.readouterr().err == (
        "vtg: clip.mkv.json says nothing of endpoints, sampling.init, which came later: "
        "done as before them\n"
    )
    assert np.array_equal(read_video("again.mkv")[0], read_video("clip.mkv")[0])


def weights_job(*more: str) -> tuple[str, ...]:
    """A clip in out/ of pictures and a model named by absolute paths."""
    shutil.copytree(TINY / "tiny_svd", "models/tiny_svd")
    shutil.copytree("models/tiny_svd", "models/svd")  # by a name of the catalogue
    Path("out").mkdir()
    names = [str(Path(name).absolute()) for name in ("a.png", "b.png", "models/svd")]
    size = ("--width", "16", "--height", "16", "--steps", "2", "--device", "cpu")
    return ("interpolate", *names[:2], "-o", "out/c.mkv", "--model", names[2], *size, *more)


def test_paths_in_a_report_are_as_seen_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vtg(*weights_job()) == 0
    written = Path("out/c.mkv.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in written
    report = json.loads(written)
    assert report["job"]["keyframes"] == ["../a.png", "../b.png"]
    assert report["job"]["model"] == report["model"]["name"] == "../models/svd"
    assert any(note.startswith("../a.png (48x32) is cropped") for note in report["notes"])
    shutil.move(tmp_path / "here", tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    assert vtg("run", "there/out/c.mkv.json", "-o", "again.mkv") == 0
    assert np.array_equal(read_video("there/out/c.mkv")[0], read_video("again.mkv")[0])
    older = json.loads(written)
    older["job"]["model"] = str((tmp_path / "there/models/svd").absolute())  # as they were once
    Path("there/out/c.mkv.json").write_text(json.dumps(older), encoding="utf-8")
    assert vtg("run", "there/out/c.mkv.json", "-o", "older.mkv") == 0


def test_no_paths_leaves_names_only(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert vtg(*weights_job("--no-paths")) == 0
    written = Path("out/c.mkv.json").read_text(encoding="utf-8")
    job = json.loads(written)["job"]
    assert (job["keyframes"], job["output"]) == (["a.png", "b.png"], "c.mkv")
    assert job["model"] == "./svd"
    assert not any(part in written for part in ("../", "models", "here", str(tmp_path)))
    capfd.readouterr()
    for name, code in (("a.png", 7), ("b.png", 7), ("models/svd", 5)):
        assert vtg("run", "out/c.mkv.json", "-o", "again.mkv") == code
        assert capfd.readouterr().err == (
            f"vtg: out/c.mkv.json names {Path(name).name} without its folder, and it is not in "
            f"{Path('out').absolute()}\n     put it there, or a link to it\n"
        )
        Path("out", Path(name).name).symlink_to(Path(name).absolute())
    assert vtg("run", "out/c.mkv.json", "-o", "again.mkv") == 0
    assert np.array_equal(read_video("out/c.mkv")[0], read_video("again.mkv")[0])
    assert json.loads(Path("again.mkv.json").read_text())["job"]["keyframes"] == ["a.png", "b.png"]


def every_kind(folder: str, *more: str) -> dict[str, list[str]]:
    """Outputs of all kinds of jobs in the folder, and what their reports say of their inputs."""
    how = (*more, "--model", "flow")
    Path("pairs").mkdir()
    Path(folder).mkdir()
    for source in ("a", "b"):
        shutil.copy(f"{source}.png", f"pairs/p_{source}.png")
    assert vtg("interpolate", "a.png", "b.png", "-o", f"{folder}/i.mkv", "--frames", "4", *how) == 0
    shutil.copy(f"{folder}/i.mkv", "clip.mkv")
    assert vtg("slow", "clip.mkv", "--factor", "2", "-o", f"{folder}/s.mkv", *how) == 0
    bridge = ("bridge", "clip.mkv", "clip.mkv", "-o", f"{folder}/b.mkv", "--frames", "4")
    assert vtg(*bridge, *how) == 0
    assert main(["timeline", "init", "a.png", "b.png", "-o", "t.toml"]) == 0
    assert vtg("render", "t.toml", "-o", f"{folder}/t.mkv", *how) == 0
    suffix = ("--output-template", "{name}.mkv")
    assert vtg("batch", "pairs", "-o", folder, *suffix, "--frames", "4", *how) == 0
    return {
        name: inputs(json.loads(Path(folder, f"{name}.mkv.json").read_text("utf-8"))["job"])
        for name in ("i", "s", "b", "t", "p")
    }


def inputs(job: dict[str, Any]) -> list[str]:
    """The pictures or clips in a report's job, each once."""
    segments = job.get("segments", [job])
    keys = [name for segment in segments for name in segment.get("keyframes", ())]
    clips = [job[key]["path"] for key in ("clip", "first", "last") if key in job]
    return list(dict.fromkeys([*keys, *clips]))


def test_every_kind_of_report_is_run_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert every_kind("out") == {
        "i": ["../a.png", "../b.png"],
        "s": ["../clip.mkv"],
        "b": ["../clip.mkv"],
        "t": ["../a.png", "../b.png"],
        "p": ["../pairs/p_a.png", "../pairs/p_b.png"],
    }
    shutil.move(tmp_path / "here", tmp_path / "there")
    monkeypatch.chdir(tmp_path)
    for name in ("i", "s", "b", "t", "p"):
        report = Path(f"there/out/{name}.mkv.json")
        assert str(tmp_path) not in report.read_text("utf-8")
        assert vtg("run", str(report), "-o", f"{name}.mkv") == 0
        again, first = (read_video(f"{folder}{name}.mkv")[0] for folder in ("", "there/out/"))
        assert np.array_equal(again, first)


def test_no_paths_holds_for_every_kind(capfd: pytest.CaptureFixture[str]) -> None:
    names = every_kind("out", "--no-paths")
    assert names == {
        "i": ["a.png", "b.png"],
        "s": ["clip.mkv"],
        "b": ["clip.mkv"],
        "t": ["a.png", "b.png"],
        "p": ["p_a.png", "p_b.png"],
    }
    for name, (first, *_) in names.items():
        capfd.readouterr()
        assert vtg("run", f"out/{name}.mkv.json", "-o", "again.mkv") == 7
        assert f"out/{name}.mkv.json names {first} without its folder" in capfd.readouterr().err
    assert not Path("again.mkv").exists()
