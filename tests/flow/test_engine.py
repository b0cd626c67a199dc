"""The embedded engine against scenes whose every instant is known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vtg_cli.errors import UsageError
from vtg_cli.flow.engine import in_between, retime

Picture = NDArray[np.uint8]
Scene = Callable[[float], Picture]
TIMES = [0.25, 0.5, 0.75]

_waves = np.random.default_rng(5)
WAVES = _waves.uniform(-1, 1, (14, 2)) * np.geomspace(0.03, 0.45, 14)[:, None]  # radians per pixel
PHASES = _waves.uniform(0, 7, (14, 3))
HEIGHTS = np.geomspace(26, 9, 14)


def texture(x: NDArray[np.float64], y: NDArray[np.float64], turn: float = 0) -> NDArray[np.float64]:
    """Colour [H, W, 3] at any real coordinates: fourteen sinusoids."""
    colour = np.full((*x.shape, 3), 128.0)
    for (u, v), phase, height in zip(WAVES, PHASES, HEIGHTS, strict=True):
        colour += height * np.sin(u * x[..., None] + v * y[..., None] + phase + turn)
    return colour


def picture(colour: NDArray[np.float64]) -> Picture:
    return np.clip(np.round(colour), 0, 255).astype(np.uint8)


def coordinates(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[0:height, 0:width].astype(float)
    return x, y


def shift(dx: float, dy: float) -> Scene:
    x, y = coordinates(120, 176)
    return lambda t: picture(texture(x - dx * t, y - dy * t))


def camera(degrees: float, zoom: float) -> Scene:
    """Every point moves on a straight line to where a turn and a zoom about the centre put it."""
    x, y = coordinates(120, 176)
    turn = np.deg2rad(degrees)
    whole = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def at(t: float) -> Picture:
        (a, b), (c, d) = np.linalg.inv((1 - t) * np.eye(2) + t * whole)
        u, v = x - 88, y - 60
        return picture(texture(a * u + b * v + 88, c * u + d * v + 60))

    return at


def disc(x: NDArray[np.float64], y: NDArray[np.float64], t: float) -> NDArray[np.float64]:
    """Coverage in [0, 1] of a disc of radius 30 on its way from (62, 60) to (102, 68)."""
    return np.clip(30.5 - np.hypot(x - 62 - 40 * t, y - 60 - 8 * t), 0, 1)[..., None]


def occluder(t: float) -> Picture:
    """The disc in front of a texture that moves the other way."""
    x, y = coordinates(128, 176)
    cover = disc(x, y, t)
    front = 0.6 * texture(1.3 * (x - 40 * t), 1.3 * (y - 8 * t), 1) + (70, 10, -30)
    return picture(cover * front + (1 - cover) * (0.7 * texture(x + 4 * t, y - 2 * t) + 40))


def psnr(a: Picture, b: Picture) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def crossfade(first: Picture, last: Picture, t: float) -> Picture:
    return picture((1 - t) * first + t * last)


# floors two to three dB below what is measured; `gain` is that over a plain cross-fade
@pytest.mark.parametrize(
    ("scene", "floor", "gain"),
    [
        pytest.param(shift(6.3, -3.7), 49, 16, id="subpixel shift"),
        pytest.param(shift(40, 10), 37, 17, id="shift of a quarter"),
        pytest.param(camera(6, 1.06), 45, 12, id="camera turns and zooms"),
        pytest.param(camera(0, 1.2), 38, 11, id="camera zooms"),
        pytest.param(occluder, 30, 6, id="disc before a background"),
    ],
)
def test_known_motion(scene: Scene, floor: float, gain: float) -> None:
    first, last = scene(0), scene(1)
    for t, frame in zip(TIMES, in_between(first, last, TIMES), strict=True):
        assert psnr(frame, scene(t)) > floor
        assert psnr(frame, scene(t)) > psnr(crossfade(first, last, t), scene(t)) + gain


def test_change_of_exposure_is_followed() -> None:
    scene = shift(6.3, -3.7)

    def dimming(t: float) -> Picture:
        return picture(scene(t) * (1 - 0.2 * t) + 10 * t)

    for t, frame in zip(TIMES, in_between(dimming(0), dimming(1), TIMES), strict=True):
        assert psnr(frame, dimming(t)) > 43  # measured 46.7 to 49.3; a cross-fade 31.7 to 34.4


def test_unrelated_pictures_dissolve_in_code_values() -> None:
    x, y = coordinates(96, 128)
    first, last = picture(texture(x, y)), picture(255 - texture(1.7 * y + 900, 1.7 * x + 900))
    for t, frame in zip(TIMES, in_between(first, last, TIMES), strict=True):
        # one code value: rounding of weights and of the frame
        assert np.abs(frame.astype(float) - ((1 - t) * first + t * last)).max() <= 1


@pytest.mark.parametrize(
    ("size", "channels"),
    [((1, 1), 4), ((2, 3), 1), ((8, 8), 2), ((33, 17), 3), ((1, 300), 1), ((3, 700), 4)],
)
def test_any_size_keeps_the_keyframes(size: tuple[int, int], channels: int) -> None:
    noise = np.random.default_rng(7)
    first, last = noise.integers(0, 256, (2, *size, channels), dtype=np.uint8)
    frames = in_between(first, last, [0, 0.4, 1])
    assert frames.shape == (3, *size, channels) and frames.dtype == np.uint8
    assert np.array_equal(frames[0], first) and np.array_equal(frames[2], last)


@pytest.mark.parametrize(("size", "channels"), [((1, 1), 3), ((2, 3), 1), ((50, 70), 3)])
def test_even_pictures_mix_evenly(size: tuple[int, int], channels: int) -> None:
    first = np.full((*size, channels), 40, np.uint8)
    frames = in_between(first, first + 80, TIMES)
    expected = np.array([60, 80, 100])[:, None, None, None]  # 40 + 80 t
    assert np.abs(frames - expected.astype(float)).max() <= 1


def test_identical_keyframes_give_identical_frames() -> None:
    still = occluder(0)
    assert (in_between(still, still.copy(), [0, 0.3, 0.99, 1]) == still).all()


def test_the_way_back_shows_the_same_frames() -> None:
    first, last = occluder(0), occluder(1)
    there, back = in_between(first, last, TIMES), in_between(last, first, TIMES[::-1])
    assert np.array_equal(there, back)  # exactly: 1 - t is exact for these times


def test_the_number_of_threads_does_not_matter() -> None:
    threads = cv2.getNumThreads()
    first, last = occluder(0), occluder(1)
    try:
        found = []
        for n in (1, 3):
            cv2.setNumThreads(n)
            found.append(in_between(first, last, [0.5]))
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(*found)


def test_straight_alpha_follows_the_motion_and_nothing_bleeds_in() -> None:
    x, y = coordinates(128, 176)

    def cut_out(t: float) -> Picture:
        cover = disc(x, y, t)
        colour = 0.6 * texture(1.3 * (x - 40 * t), 1.3 * (y - 8 * t), 1) + (70, 10, -30)
        hidden = np.where(cover > 0, colour, (0, 255, 0))  # must never show
        return picture(np.concatenate([hidden, 255 * cover], axis=2))

    first, last = cut_out(0), cut_out(1)
    for t, frame in zip(TIMES, in_between(first, last, TIMES), strict=True):
        truth = cut_out(t)
        assert psnr(frame[..., 3], truth[..., 3]) > 22  # a cross-fade: 13 to 14
        inside = (frame[..., 3] > 128) & (truth[..., 3] == 255)
        off = np.abs(frame[inside][:, :3].astype(float) - truth[inside][:, :3])
        # green from under the transparency would be off by up to 255 in two channels
        assert off.mean() < 4 and np.quantile(off, 0.99) < 60


def test_progress_counts_every_frame() -> None:
    told: list[tuple[int, int]] = []
    still = np.zeros((4, 4, 3), np.uint8)
    in_between(still, still, [0, 0.5, 1], on_frame=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("first", "last", "times", "says"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), [0.5], "4, 5, 3"),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), [0.5], r"\(4, 4\)"),
        (np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4, 5), np.uint8), [0.5], "4, 4, 5"),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((0, 4, 3), np.uint8), [0.5], "0, 4, 3"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), [0.5], "float64"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), [1.5], "1.5"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), [float("nan")], "nan"),
    ],
)
def test_what_cannot_be_in_betweened(
    first: Picture, last: Picture, times: list[float], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        in_between(first, last, times)


def test_retime_keeps_frames_and_fills_between_neighbours() -> None:
    clip = np.stack([shift(6, 2)(t) for t in (0, 1, 2)])
    times = [0, 0.25, 0.5, 0.5 + 4e-7, 0.75, 1]  # 4e-7 of two steps is within 1e-6 frames
    out = retime(clip, times)
    for i, frame in ((0, 0), (2, 1), (3, 1), (5, 2)):
        assert np.array_equal(out[i], clip[frame])
    assert np.array_equal(out[1], in_between(clip[0], clip[1], [0.5])[0])
    assert psnr(out[4], shift(6, 2)(1.5)) > 45  # measured 50.2


def test_retime_in_any_order_of_a_single_frame_and_of_nothing() -> None:
    clip = np.stack([np.full((8, 8, 3), v, np.uint8) for v in (0, 100)])
    assert retime(clip, [1, 0])[:, 0, 0, 0].tolist() == [100, 0]
    assert np.array_equal(retime(clip[:1], [0, 0.5, 1]), clip[[0, 0, 0]])
    with pytest.raises(UsageError, match="cannot be retimed"):
        retime(clip[:0], [0])
    with pytest.raises(UsageError, match=r"-0\.1"):
        retime(clip, [-0.1])
