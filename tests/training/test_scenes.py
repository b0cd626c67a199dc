"""Rendered clips: what moves where it should, hides what it should, and nothing jumps."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vtg_cli.training import textures
from vtg_cli.training.scenes import (
    FAMILIES,
    Layer,
    Motion,
    Scene,
    frame_grid,
    render_clip,
)

N = 64
EVEN_LIGHT = np.array([[1, 0, 0], [0, 0, 0]], float)
AT_REST = Motion(
    place=np.zeros((2, 2)),
    turn=np.zeros(2),
    zoom=np.zeros(2),
    tilt=np.zeros((2, 2)),
    bend=np.zeros(2),
    field=np.zeros((N, N, 2), np.float32),
)
GRID = frame_grid((N, N))


def moving(motion: Motion, seed: int = 0) -> Scene:
    """One endless layer twice the frame's size, a texel to a pixel."""
    picture = textures.noise(np.random.default_rng(seed), 2 * N)
    return Scene((Layer(picture, None, 2.0, motion),), EVEN_LIGHT)


def test_at_rest_the_frame_is_the_middle_of_the_texture() -> None:
    scene = moving(AT_REST)
    middle = scene.layers[0].picture[N // 2 : N // 2 + N, N // 2 : N // 2 + N]
    # cv2.remap knows places to 1/32 pixel and these are whole pixels
    assert np.abs(scene.frame(GRID, 0.0) - middle).max() < 1e-5


def test_a_layer_goes_where_its_motion_says() -> None:
    """8 pixels right and 4 up over the clip, half of it before the middle."""
    scene = moving(replace(AT_REST, place=np.array([[0, 0], [8 / N, -4 / N]])))
    begin, middle, end = (scene.frame(GRID, tau) for tau in (-0.5, 0.0, 0.5))
    assert np.abs(end[:-4, 8:] - begin[4:, :-8]).max() < 1e-5
    assert np.abs(middle[:-2, 4:] - begin[2:, :-4]).max() < 1e-5


def test_flow_found_in_a_clip_is_the_layers_motion() -> None:
    """OpenCV's DIS flow as the judge: turn, zoom, perspective and bend together."""
    field = cv2.resize(textures.power_noise(np.random.default_rng(3), 8, 2.0, 2), (N, N))
    motion = Motion(
        place=np.array([[0.1, 0], [0.03, 0.02]]),
        turn=np.array([0.3, 0.05]),
        zoom=np.array([0.1, 0.06]),
        tilt=np.array([[0.1, 0.05], [0.04, 0.0]]),
        bend=np.array([0.0, 0.01]),
        field=field.astype(np.float32),
    )
    scene = moving(motion, seed=4)
    frames = [np.uint8(scene.frame(GRID, tau) * 255) for tau in (-0.5, 0.5)]
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    flow = dis.calc(grey[0], grey[1], np.zeros((N, N, 2), np.float32))
    # a pixel and the place flow says it went to must come from the same place of the layer
    here = motion.source(GRID, -0.5)
    landed = motion.source(GRID, 0.5)
    x, y = np.mgrid[0:N, 0:N].astype(np.float32)[::-1] + np.moveaxis(flow, -1, 0)
    there = cv2.remap(landed, np.float32(x), np.float32(y), cv2.INTER_LINEAR)
    apart = np.hypot(*np.moveaxis(there - here, -1, 0))[8:-8, 8:-8] * N
    moved = np.hypot(*np.moveaxis(landed - here, -1, 0))[8:-8, 8:-8] * N
    assert np.median(moved) > 1.5
    assert np.median(apart) < 0.25  # pixels; DIS itself is good to about a tenth


def test_turning_by_a_right_angle_turns_the_picture() -> None:
    """Positive is clockwise on the screen, y pointing down."""
    straight = moving(AT_REST).frame(GRID, 0.0)
    turned = moving(replace(AT_REST, turn=np.array([np.pi / 2, 0]))).frame(GRID, 0.0)
    assert np.abs(turned - np.rot90(straight, -1)).max() < 1e-4


def test_zoom_is_the_logarithm_of_size() -> None:
    motion = replace(AT_REST, zoom=np.array([np.log(2), 0]))
    assert np.abs(motion.source(GRID, 0.0) - GRID / 2).max() < 1e-6


def test_a_thing_hides_what_is_behind_it_and_nothing_else() -> None:
    n = 33
    box = np.full((n, n), -5, np.float32)
    box[8:25, 8:25] = 5
    thing = Layer(np.ones((n, n, 3), np.float32), box, n / N, AT_REST)
    back = moving(AT_REST)
    picture = Scene((*back.layers, thing), EVEN_LIGHT).frame(GRID, 0.0)
    bare = back.frame(GRID, 0.0)
    hidden = np.abs(picture - bare).max(-1) > 1e-6
    assert np.abs(picture[26:38, 26:38] - 1).max() < 1e-5
    rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
    # 17 texels across, sampled half a texel off: 18 pixels at most
    assert len(rows) <= 18 and len(columns) <= 18


def test_light_is_a_factor_with_a_slope() -> None:
    light = np.array([[1, 0.5, 0], [0.2, 0, 0]])
    scene = replace(moving(AT_REST), light=light)
    even = moving(AT_REST).frame(GRID, 0.5)
    assert np.allclose(scene.frame(GRID, 0.5), even * (1.1 + 0.5 * GRID[..., :1]), atol=1e-6)


@pytest.mark.parametrize("family", ["mixed", "held-out"])
def test_a_seed_is_a_clip_at_any_length(family: str) -> None:
    short, long = (render_clip(5, n, (48, 64), family) for n in (3, 5))
    assert short.shape == (3, 48, 64, 3) and short.dtype == np.uint8
    assert np.array_equal(short, long[::2])
    assert not np.array_equal(short, render_clip(6, 3, (48, 64), family))


def test_neighbouring_frames_are_near_and_nothing_jumps() -> None:
    for seed in range(12):
        clip = render_clip(seed, 17, (48, 48)).astype(float)
        steps = np.abs(np.diff(clip, axis=0)).mean((1, 2, 3))
        leaps = np.abs(clip[2:] - clip[:-2]).mean((1, 2, 3))
        assert steps.max() < 2 * steps.mean() + 0.1  # an uneven course changes pace by 3 at most
        assert leaps.mean() < 2.01 * steps.mean() + 0.1  # the triangle, with rounding


def test_ends_differ_by_what_makes_a_task() -> None:
    """Neither still pictures nor unrelated ones: most clips move, none is blank."""
    moved = []
    for seed in range(24):
        clip = render_clip(seed, 2, (48, 48)).astype(float)
        moved.append(np.abs(clip[1] - clip[0]).mean())
    assert np.median(moved) > 8 and np.mean(np.array(moved) > 1) > 0.9


def test_families_of_training_hold_no_texture_of_benchmarks() -> None:
    assert not set(FAMILIES["mixed"]) & set(FAMILIES["held-out"])
    with pytest.raises(ValueError, match="oil is no family"):
        render_clip(0, 2, (32, 32), "oil")
