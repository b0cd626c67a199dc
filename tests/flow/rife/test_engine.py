"""The engine with networks of known motion, and with the real one where it has been pulled."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

import vectors

from vtg_cli.errors import QualityError, UsageError
from vtg_cli.flow.rife import engine
from vtg_cli.flow.rife.engine import Rife
from vtg_cli.flow.rife.network import SCALES, IFNet
from vtg_cli.flow.rife.weights import load
from vtg_cli.machine.device import DTYPES

Picture = NDArray[np.uint8]


def shifting(pixels: float = 0.0) -> Rife:
    """A network that says of all pictures and times: fetch the first one so many pixels to the
    right, the last one as many to the left, and show half of either.
    """
    network = IFNet()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    bias = network.stages[0].lastconv[0].bias
    bias.data[:4] = pixels / SCALES[0]  # four places of a pixel shuffle
    bias.data[8:12] = -pixels / SCALES[0]
    return Rife(network)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Picture:
    drawn = np.random.default_rng(seed).integers(0, 256, (height, width, channels))
    return drawn.astype(np.uint8)


def shifted(picture: Picture, pixels: int) -> NDArray[np.float64]:
    columns = np.clip(np.arange(picture.shape[1]) + pixels, 0, picture.shape[1] - 1)
    return picture[:, columns].astype(float)


def test_keyframes_are_kept_bit_for_bit_and_identical_ones_stand() -> None:
    a, b = noise(20, 30), noise(20, 30, seed=1)
    frames = shifting().in_between(a, b, [0.0, 0.5, 1.0])
    assert np.array_equal(frames[0], a) and np.array_equal(frames[2], b)
    still = Rife(vectors.rule()).in_between(a, a.copy(), [0.0, 0.3, 1.0])
    assert all(np.array_equal(frame, a) for frame in still)


@pytest.mark.parametrize("height, width", [(1, 1), (37, 53), (64, 130)])
def test_any_size_is_carried_by_whole_pixels(height: int, width: int) -> None:
    """3 pixels away from the border, where the padding repeats it as the shift does."""
    a, b = noise(height, width), noise(height, width, seed=1)
    (frame,) = shifting(3).in_between(a, b, [0.4])
    wanted = (shifted(a, 3) + shifted(b, -3)) / 2
    # a place is off by 1e-5 pixels, which is 0.003 of a step of 255, and a half is rounded
    assert np.abs(frame - wanted).max() <= 0.51


def test_alpha_is_carried_with_the_colour_it_belongs_to() -> None:
    """Half a transparent and half an opaque pixel: the opaque one's colour at half the alpha."""
    a, b = (np.full((8, 8, 4), 200, np.uint8) for _ in range(2))
    a[...] = (90, 60, 30, 255)
    b[...] = (255, 255, 255, 0)
    (frame,) = shifting().in_between(a, b, [0.5])
    assert np.abs(frame[..., :3].astype(int) - (90, 60, 30)).max() <= 1
    assert np.abs(frame[..., 3].astype(int) - 127.5).max() <= 1


def test_grey_stays_one_channel() -> None:
    a, b = noise(16, 16, 1), noise(16, 16, 1, seed=1)
    (frame,) = shifting().in_between(a, b, [0.5])
    assert frame.shape == (16, 16, 1)
    assert np.abs(frame - (a.astype(float) + b) / 2).max() <= 0.51


def test_all_times_at_once_are_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step of 255: convolutions of a batch may round otherwise."""
    a, b, times = noise(40, 60), noise(40, 60, seed=1), [0.1, 0.35, 0.5, 0.9]
    rife = Rife(vectors.rule())
    together = rife.in_between(a, b, times)
    monkeypatch.setitem(engine.AT_ONCE, "cpu", 1)
    alone = [rife.in_between(a, b, [t])[0] for t in times]
    assert np.abs(together.astype(int) - np.stack(alone)).max() <= 1
    assert len({frame.tobytes() for frame in together}) == 4


def test_frames_are_counted_as_they_come() -> None:
    seen: list[tuple[int, int]] = []
    a, b = noise(8, 8), noise(8, 8, seed=1)
    shifting().in_between(a, b, [0, 0.5, 1], on_frame=lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_windows_of_a_large_picture_give_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = noise(200, 330), noise(200, 330, seed=1)
    (whole,) = shifting().in_between(a, b, [0.5])
    monkeypatch.setattr(engine, "LARGEST", 128 * 128)
    monkeypatch.setattr(engine, "WINDOW", 128)
    (parts,) = shifting().in_between(a, b, [0.5])
    assert np.abs(parts.astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    "width, moved, doubled", [(1280, 100, False), (1280, 140, True), (640, 140, False)]
)
def test_scales_are_doubled_where_large_pictures_move_far(
    width: int, moved: float, doubled: bool
) -> None:
    pair = torch.rand(2, 3, width * 9 // 16, width).split(1)
    each = moved / 2 * (engine.LOOK / max(width, engine.LOOK))  # either picture goes half the way
    scales = shifting(each).scales(*pair)
    assert scales == tuple(2 * scale if doubled else scale for scale in SCALES)


@pytest.mark.parametrize("dtype, within", [("bf16", 8.0), ("fp16", 1.0)])
def test_half_precisions_draw_nearly_the_same(dtype: str, within: float) -> None:
    """Weights and activations of 8 and 11 bits; what lies between stays in float32. `within`: mean
    of the differences in steps of 255, of noise, which shows every pixel of motion.
    """
    a, b = noise(64, 64), noise(64, 64, seed=1)
    full = Rife(vectors.rule()).in_between(a, b, [0.5])
    half = Rife(vectors.rule().to(DTYPES[dtype])).in_between(a, b, [0.5])
    assert 0 < np.abs(full.astype(float) - half).mean() < within


def test_frames_that_are_no_numbers_are_refused() -> None:
    rife = shifting()
    rife.network.stages[4].lastconv[0].bias.data[16] = torch.nan
    with pytest.raises(QualityError, match="not numbers"):
        rife.in_between(noise(8, 8), noise(8, 8, seed=1), [0.5])


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(UsageError, match="shapes"):
        shifting().in_between(noise(8, 8), noise(8, 9), [0.5])
    with pytest.raises(UsageError, match=r"outside \[0, 1\]"):
        shifting().in_between(noise(8, 8), noise(8, 8), [1.5])


def test_the_real_weights_find_a_shift() -> None:
    """A smooth texture that goes 12 pixels, against itself moved by sampling theory (a Fourier
    shift of a periodic picture), away from the border. 30 dB: a cross-fade has 18 at most.
    """
    folder = vectors.pulled()
    if folder is None:
        pytest.skip("the real weights are not on this machine: vtg models pull rife")
    spectrum = np.fft.fft2(np.random.default_rng(2).normal(size=(128, 192, 3)), axes=(0, 1))
    v, u = np.fft.fftfreq(128)[:, None, None], np.fft.fftfreq(192)[None, :, None]
    spectrum *= np.exp(-((u**2 + v**2) * 15**2) / 2) * (np.hypot(u, v) > 0)

    def at(t: float) -> Picture:
        moved = np.fft.ifft2(spectrum * np.exp(-2j * np.pi * u * 12 * t), axes=(0, 1)).real
        return np.clip(np.round(128 + 45 * moved / moved.std()), 0, 255).astype(np.uint8)

    rife = load(folder, device="cpu")
    inside = slice(24, -24)
    frames = rife.in_between(at(0), at(1), [0.25, 0.5])
    fade = [0.75 * at(0).astype(float) + 0.25 * at(1), 0.5 * at(0).astype(float) + 0.5 * at(1)]
    for frame, faded, t in zip(frames, fade, (0.25, 0.5), strict=True):
        drawn, cross = (psnr(x[inside, inside], at(t)[inside, inside]) for x in (frame, faded))
        assert drawn > 30 > cross


def psnr(x: NDArray[np.generic], truth: Picture) -> float:
    return float(20 * np.log10(255 / np.sqrt(np.mean((x.astype(float) - truth) ** 2))))


def test_motion_is_what_the_network_says_of_a_time() -> None:
    """At the size of the pictures, without the padding; both keyframes' parts are one whole."""
    rife, a, b = Rife(vectors.rule()), noise(64, 128), noise(64, 128, seed=1)
    moved = rife.motion(a, b)(0.25)
    pictures = (torch.from_numpy(x).movedim(-1, 0)[None] / 255 for x in (a, b))
    with torch.inference_mode():
        said = rife.network(*pictures, torch.tensor([0.25]))
    flow = np.concatenate([moved.to_first, moved.to_last], axis=-1)
    assert np.array_equal(flow, said.flow[0].movedim(0, -1).numpy())
    assert np.array_equal(moved.part_ahead, torch.sigmoid(said.mask[0, 0]).numpy())
    assert np.array_equal(moved.part_ahead + moved.part_back, moved.presence)


def test_motion_of_a_large_picture_is_in_its_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOTION", 64)
    moved = shifting(3.0).motion(noise(96, 128), noise(96, 128, seed=1))(0.5)
    assert moved.to_first.shape == (48, 64, 2)
    assert np.abs(moved.to_first[24, 32] - (6, 0)).max() < 1e-5  # four places, and twice the size
