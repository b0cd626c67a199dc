"""--lora: what is fitted when, what is kept, and what is said, on the embedded model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from vtg_cli import interpolate
from vtg_cli.cli import main
from vtg_cli.conditioning import lora
from vtg_cli.errors import (
    Interrupted,
    MediaError,
    MemoryLadderError,
    QualityError,
    UsageError,
    WeightsError,
)
from vtg_cli.render import draw
from vtg_cli.training import pair as pairs
from vtg_cli.training import pair_cache, pair_layers
from vtg_cli.training.loop import Run
from vtg_cli.training.pair_cache import PairSettings

SVD = Path(__file__).parents[1] / "data" / "parity" / "tiny_svd"
STEPS = 4
Clip = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three small pictures, a cache of its own, and fits of a few large steps."""
    y, x = np.mgrid[:24, :32]
    for i in range(3):
        waves = [np.sin((x + 9 * i) / 5) + np.cos((y - 5 * i) / (4 + c)) for c in range(3)]
        Image.fromarray((np.stack(waves, -1) * 60 + 128).astype(np.uint8)).save(
            tmp_path / f"{'abc'[i]}.png"
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pair_cache, "DEFAULTS", PairSettings(rank=4, steps=STEPS, rate=5e-2))
    return tmp_path / "cache" / "vtg" / "lora"


def drawn(*names: str, **options: Any) -> Clip:
    given: dict[str, Any] = {"model": "tiny", "frames": 4, "device": "cpu"} | options
    return np.stack([*interpolate(*(f"{name}.png" for name in names or "ab"), **given)])


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The training steps that are taken, by their number."""
    taken: list[int] = []
    one = Run._one

    def counted(self: Run, losses: Any) -> float:
        taken.append(self.step)
        return one(self, losses)

    monkeypatch.setattr(Run, "_one", counted)
    return taken


def test_a_fit_changes_the_clip_and_is_kept(here: Path, steps: list[int]) -> None:
    fitted = drawn(lora="fit")
    assert steps == 2 * [*range(STEPS)]
    assert [file.suffix for file in here.iterdir()] == [".safetensors"] * 2
    assert np.array_equal(fitted, drawn(lora="fit")) and len(steps) == 2 * STEPS
    assert not np.array_equal(fitted, drawn())
    # the keyframes stand as they are, whatever was learned of them
    assert np.array_equal(fitted[0], np.asarray(Image.open("a.png")))


def test_a_keyframe_of_two_segments_is_fitted_once(here: Path, steps: list[int]) -> None:
    drawn(*"abc", lora="fit", loop=True)
    assert len(steps) == 3 * STEPS and len([*here.iterdir()]) == 3


def test_a_folder_is_read_and_nothing_is_fitted(here: Path, steps: list[int]) -> None:
    fitted = drawn(lora="fit")
    here.rename("mine")
    steps.clear()
    assert np.array_equal(fitted, drawn(lora="mine")) and steps == []
    with pytest.raises(WeightsError, match="mine holds nothing that was fitted to keyframe 2"):
        drawn(*"ac", lora="mine")
    assert not here.exists()


def test_every_frame_has_as_much_of_an_update_as_it_is_near(here: Path) -> None:
    """Against the mixture by hand, over both directions of the embedded model's method."""
    ahead, back = pair_layers.mixing(2)(2, 4)
    thirds = [1, 2 / 3, 1 / 3, 0]
    assert torch.allclose(ahead, torch.tensor([thirds, thirds[::-1]]))
    assert torch.allclose(back, torch.tensor([thirds[::-1], thirds]))
    one = pair_layers.mixing(1)(2, 4)
    assert torch.allclose(
        torch.stack([*map(torch.as_tensor, one)])[:, 0], ahead.new_tensor([thirds, thirds[::-1]])
    )
    # while keyframes are inverted, each as a clip of one frame, each has its own
    assert [w.tolist() for w in pair_layers.mixing(2)(2, 1)] == [[[1], [0]], [[0], [1]]]


def test_progress_of_a_fit_is_its_share_of_the_work() -> None:
    told: list[tuple[float, str]] = []
    drawn(lora="fit", steps=10, on_progress=lambda *each: told.append(each))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[-1] == 1
    fitting = [share for share, phase in told if phase == "fitting"]
    assert len(fitting) == 2 * STEPS
    # 3 evaluations of a frame for every training step; 10 steps in 2 directions over 4 frames
    work = 3 * 2 * STEPS
    assert fitting[-1] == pytest.approx(draw.DRAWING * work / (work + 10 * 2 * 4))
    assert max(fitting) <= min(share for share, phase in told if phase == "sampling")
    told.clear()
    drawn(lora="fit", steps=10, on_progress=lambda *each: told.append(each))
    assert "fitting" not in {phase for _, phase in told}  # it was kept
    assert min(share for share, phase in told if phase == "sampling") == 0


def test_a_fit_can_be_cancelled_and_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch, steps: list[int], here: Path
) -> None:
    monkeypatch.setattr(pairs, "KEEP", 1)
    whole = drawn(lora="fit")
    for file in here.iterdir():
        file.unlink()
    steps.clear()
    with pytest.raises(Interrupted):
        drawn(lora="fit", cancel=lambda: len(steps) == STEPS + 2)
    assert steps == [*range(STEPS), 0, 1]
    assert {file.suffix for file in here.iterdir()} == {".safetensors", ".partial"}
    assert np.array_equal(drawn(lora="fit"), whole)
    assert steps[STEPS + 2 :] == [1, 2, 3]  # what was done when it stopped had not been kept yet
    assert {file.suffix for file in here.iterdir()} == {".safetensors"}


def test_a_killed_fit_resumes(
    monkeypatch: pytest.MonkeyPatch, steps: list[int], here: Path
) -> None:
    monkeypatch.setattr(pairs, "KEEP", 2)

    def kill(share: float, phase: str) -> None:
        if phase == "fitting" and len(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drawn(lora="fit", on_progress=kill)
    drawn(lora="fit")
    assert steps == [0, 1, 2, 2, 3, *range(STEPS)]


def test_what_another_process_fits_is_waited_for(here: Path, steps: list[int]) -> None:
    from filelock import FileLock

    whole = drawn(lora="fit")
    kept = sorted(here.iterdir())[0]
    held, folder = kept.rename("held"), kept.with_suffix(".partial")
    folder.mkdir()
    other = FileLock(folder / "lock")
    other.acquire()
    steps.clear()
    asked: list[int] = []

    def cancel() -> bool:  # asked while waiting
        if folder.exists() and not asked:
            asked.append(1)
            held.rename(kept)  # the other one is done
            other.release()
        return False

    assert np.array_equal(drawn(lora="fit", cancel=cancel), whole)
    assert steps == [] and asked and sorted(here.iterdir())[0] == kept


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_out_of_memory_in_a_fit_says_what_asks_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "_one", raising(MemoryError()))
    with pytest.raises(MemoryLadderError) as refusal:
        drawn(lora="fit")
    assert refusal.value.message == (
        "out of memory on cpu: tiny at 32x24 while it was fitted to the keyframes"
    )
    assert refusal.value.hint == "ask for less: --width and --height, --lora off, --fast"


def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lora, "save", raising(OSError(28, "No space left on device")))
    with pytest.raises(MediaError, match=r"cannot keep what is fitted in .*: No space left"):
        drawn(lora="fit")


def test_slerp_starts_from_noise_of_the_fitted_network(here: Path) -> None:
    plain, fitted = (
        drawn(init="slerp", init_until=1.0, steps=3, temperature=1.0, lora=how)
        for how in ("off", "fit")
    )
    assert plain.shape == fitted.shape and not np.array_equal(plain, fitted)


@pytest.mark.parametrize("how", ["fti", "cache", "a.png"])
def test_what_is_no_folder_of_a_fit_is_refused_while_planning(how: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with pytest.raises(UsageError, match=f"--lora {how} is not a folder with kept fits"):
        interpolate("a.png", "b.png", model="tiny", lora=how)


def test_the_command_line_plans_and_repeats_it(
    capfd: pytest.CaptureFixture[str], steps: list[int]
) -> None:
    command = ["interpolate", "a.png", "b.png", "-o", "clip.mkv", "--model", "tiny"]
    command += ["--frames", "4", "--lora", "fit"]
    assert main([*command, "--dry-run"]) == 0
    out, err = capfd.readouterr()
    assert "lora      fit: 2 keyframes, 200 training steps each; those kept take none" in out
    assert "vtg: note: tiny gains nothing to speak of from --lora" in err
    assert main([*command, "--dry-run", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["model"]["fit_steps"] == 400
    assert main([*command, "-q"]) == 0
    assert json.loads(Path("clip.mkv.json").read_text())["job"]["lora"] == "fit"
    taken = len(steps)
    assert main(["run", "clip.mkv.json", "-o", "again.mkv", "-q"]) == 0 and len(steps) == taken
    assert Path("clip.mkv").read_bytes() == Path("again.mkv").read_bytes()
    command[command.index("tiny")] = "flow"
    command[command.index("clip.mkv")] = "other.mkv"
    for option in (["--lora", "fit"], ["--fast"]):
        assert main([*command[:-2], *option]) == 2
        said = capfd.readouterr().err
        assert f"{option[0]} is for diffusion models, and the model is flow" in said


def overflowing(monkeypatch: pytest.MonkeyPatch, steps: Callable[[int], bool]) -> None:
    """Have the loss of these training steps be no number."""
    whole = pairs.denoising_loss
    counted: list[int] = []

    def loss(*given: Any) -> Any:
        counted.append(len(counted) % STEPS)
        return whole(*given) * (float("nan") if steps(counted[-1]) else 1)

    monkeypatch.setattr(pairs, "denoising_loss", loss)


def test_steps_of_a_fit_that_overflowed_are_left_out_and_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overflowing(monkeypatch, lambda step: step == 1)
    command = ["interpolate", "a.png", "b.png", "-o", "clip.mkv", "--model", "tiny"]
    assert main([*command, "--frames", "4", "--steps", "2", "--lora", "fit"]) == 0
    said = [
        f"the fit to keyframe {k}: the gradients of 1 of {STEPS} steps were not numbers: these "
        "steps were left out"
        for k in (1, 2)
    ]
    assert [line for line in capsys.readouterr().err.splitlines() if "the fit" in line] == [
        f"vtg: {note}" for note in said
    ]
    assert json.loads(Path("clip.mkv.json").read_text())["notes"][-2:] == said
    assert [file.suffix for file in here.iterdir()] == [".safetensors"] * 2


def test_a_fit_that_overflowed_at_every_step_is_not_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    monkeypatch.setattr(pairs, "KEEP", 1)
    with monkeypatch.context() as patch:
        overflowing(patch, lambda step: True)
        with pytest.raises(Interrupted):  # half of it now, the rest when it goes on
            drawn(lora="fit", cancel=lambda: len(steps) == 3)
        with pytest.raises(QualityError) as caught:
            drawn(lora="fit")
    assert steps == [0, 1, 2, 2, 3]
    assert caught.value.exit_code == 6
    assert caught.value.message == (
        "the fit to a keyframe failed, nothing of it is kept: "
        f"the gradients of all {STEPS} steps are not numbers"
    )
    assert [*here.iterdir()] == []
    drawn(lora="fit")  # from the beginning, and well
    assert len([*here.iterdir()]) == 2


def test_a_fit_in_half_precision_that_overflows_ends_in_a_line(
    here: Path,
    steps: list[int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A real one: weights that half precision holds, whose products it does not."""
    monkeypatch.setattr(pair_cache, "DEFAULTS", PairSettings(rank=1, steps=2, frames=1))
    shutil.copytree(SVD, "model")
    file = Path("model/unet/diffusion_pytorch_model.safetensors")
    weights = load_file(file)
    weights["conv_out.weight"] = torch.full_like(weights["conv_out.weight"], 6e4)
    save_file(weights, file, {"format": "pt"})
    command = ["interpolate", "a.png", "b.png", "-o", "clip.mkv", "--model", "./model"]
    half = ["--dtype", "fp16", "--lora", "fit", "--width", "32", "--steps", "1", "-q"]
    assert main([*command, *half, "--method", "i2v"]) == 6
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "vtg: the fit to a keyframe failed, nothing of it is kept: "
        "the gradients of all 2 steps are not numbers",
        "     try --dtype fp32, or --lora off",
    ]
    assert steps == [0, 1] and [*here.iterdir()] == []
    assert not Path("clip.mkv").exists()


def test_a_fit_ends_after_ten_such_steps_in_a_row(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_cache, "DEFAULTS", PairSettings(rank=4, steps=30))
    overflowing(monkeypatch, lambda step: True)
    with pytest.raises(QualityError, match="10 steps in a row, up to step 10, are not numbers"):
        drawn(lora="fit")
    assert [*here.iterdir()] == []


def test_a_kept_fit_that_is_no_numbers_is_refused(here: Path) -> None:
    drawn(lora="fit")
    here.rename("mine")
    for file in Path("mine").iterdir():
        tensors = load_file(file)
        name = min(tensors)
        tensors[name].view(-1)[0] = torch.inf
        save_file(tensors, file)
    with pytest.raises(WeightsError) as caught:
        drawn(lora=str(Path("mine").absolute()))
    assert caught.value.exit_code == 5
    said = [f"{f.absolute()} is damaged: {name}" for f in Path("mine").iterdir()]
    assert caught.value.message in [f"{each} holds values that are not numbers" for each in said]


def test_a_damaged_state_of_a_fit_is_told_and_begun_again(
    here: Path, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "KEEP", 1)
    whole = drawn(lora="fit")
    for file in here.iterdir():
        file.unlink()
    steps.clear()
    with pytest.raises(Interrupted):
        drawn(lora="fit", cancel=lambda: len(steps) == 3)
    (state,) = here.glob("*.partial/checkpoint-*/state.json")
    state.write_text("{")
    notes: list[str] = []
    fit_pair = pairs.fit_pair

    def noting(*given: Any, **options: Any) -> Any:
        return fit_pair(*given, **options | {"on_note": notes.append})

    monkeypatch.setattr(pairs, "fit_pair", noting)
    assert np.array_equal(drawn(lora="fit"), whole) and steps[3:] == [*range(STEPS)] * 2
    assert notes == [
        f"the fit to keyframe 1: {state.parent} is damaged, and there is no other checkpoint: "
        "it begins again"
    ]
