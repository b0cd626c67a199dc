"""Paint the example keyframes into a folder (default: examples/).

`lake_a.jpg` and `lake_b.jpg` are two moments of a lake at dusk; `city.jpg` shares nothing with them
and asks for a dissolve; example_pairs.py paints what goes to pairs/. All is drawn from seeded noise
and polygons: the pictures are our own.

`lake(t)` paints any moment t in [0, 1] between the two. The camera moves to the right (the nearer a
layer, the faster it passes), clouds drift, the sun sinks, a balloon climbs and a boat sails behind
the trees of the bank.

    python scripts/make_examples.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Picture = NDArray[Any]  # float32 [H, W, 3] in [0, 1]; layers [H, W, 4] with straight alpha

HEIGHT, WIDTH = 540, 960
SUPER = 2  # painted at twice the size, then reduced: antialiasing
H, W = HEIGHT * SUPER, WIDTH * SUPER
MARGIN = 240 * SUPER  # layers are wider than the picture, so that they can pass
HORIZON = int(0.60 * H)


def rgb(*values: int) -> Picture:
    return np.array(values, np.float32) / 255


def cloud_noise(
    seed: int, height: int, width: int, cell: tuple[int, int], octaves: int = 5
) -> Picture:
    """Smooth noise [height, width] in [0, 1]: a sum of random grids with halving cells."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = max(2, height * 2**octave // cell[0])
        columns = max(2, width * 2**octave // cell[1])
        grid = random.random((rows, columns), np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = np.percentile(total, (1, 99))
    scaled: Picture = np.clip((total - low) / (high - low), 0, 1)
    return scaled.astype(np.float32)


def gradient(stops: list[tuple[float, Picture]], n: int) -> Picture:
    """Colours [n, 3] along stops (place in [0, 1], colour)."""
    places, colours = zip(*stops, strict=True)
    at = np.linspace(0, 1, n)
    return np.stack([np.interp(at, places, [c[i] for c in colours]) for i in range(3)], -1).astype(
        np.float32
    )


def over(picture: Picture, layer: Picture, dx: float = 0.0, dy: float = 0.0) -> Picture:
    """Lay a layer over a picture, its corner moved to (dx, dy) in pixels of the finished size."""
    height, width = picture.shape[:2]
    move = np.array([[1, 0, dx * SUPER], [0, 1, dy * SUPER]], np.float32)
    premultiplied = layer.copy()
    premultiplied[..., :3] *= layer[..., 3:]
    moved = cv2.warpAffine(premultiplied, move, (width, height), flags=cv2.INTER_LINEAR)
    return picture * (1 - moved[..., 3:]) + moved[..., :3]


def glow(y: float, x: float, radius: float) -> Picture:
    """A soft disc of light [H, W, 1], 1 at its centre; lengths in finished pixels."""
    rows, columns = np.ogrid[:H, :W]
    distance = (rows - y * SUPER) ** 2 + (columns - x * SUPER) ** 2
    return np.exp(-distance / (radius * SUPER) ** 2).astype(np.float32)[..., None]


def drawn(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (width * SUPER, height * SUPER))
    return image, ImageDraw.Draw(image)


def layer_of(image: Image.Image) -> Picture:
    return np.asarray(image, np.float32) / 255


def sky() -> Picture:
    stops = [
        (0.0, rgb(30, 32, 78)),
        (0.35, rgb(98, 62, 122)),
        (0.62, rgb(206, 96, 112)),
        (0.85, rgb(250, 158, 98)),
        (1.0, rgb(255, 208, 140)),
    ]
    picture = np.repeat(gradient(stops, HORIZON)[:, None], W, axis=1)
    picture = np.concatenate([picture, np.repeat(picture[-1:], H - HORIZON, axis=0)])
    random = np.random.default_rng(3)
    for _ in range(70):
        y, x = random.integers(0, HORIZON // 3), random.integers(0, W)
        light = 0.55 * random.random() * (1 - 3 * y / HORIZON)
        cv2.circle(
            picture,
            (int(x), int(y)),
            SUPER // 2 + 1,
            (picture[y, x] + light).tolist(),
            -1,
            cv2.LINE_AA,
        )
    return picture


def clouds(
    seed: int, top: int, height: int, colour: Picture, lit: Picture, cover: float
) -> Picture:
    """A band of streaky clouds, lit from below by the sun."""
    width = W + 2 * MARGIN
    shape = cloud_noise(seed, height * SUPER, width, (70 * SUPER, 300 * SUPER))
    fade = np.sin(np.linspace(0, np.pi, height * SUPER, dtype=np.float32))[:, None]
    alpha = np.clip((shape * fade - cover) * 4, 0, 1)
    below = np.clip((shape - np.roll(shape, -6 * SUPER, axis=0)) * 5 + 0.4, 0, 1)[..., None]
    layer = np.zeros((H, width, 4), np.float32)
    band = layer[top * SUPER : (top + height) * SUPER]
    band[..., :3] = colour * (1 - below) + lit * below
    band[..., 3] = alpha * 0.85
    return layer


def ridge(seed: int, base: float, rise: float, cell: int, rough: int) -> Picture:
    """Skyline [W + 2 MARGIN]: the row, in finished pixels, where a range of hills begins."""
    width = W + 2 * MARGIN
    random = np.random.default_rng(seed)
    line = np.zeros(width, np.float32)
    for octave in range(rough):
        points = random.random((1, max(4, width * 2**octave // (cell * SUPER))), np.float32)
        line += cv2.resize(points, (width, 1), interpolation=cv2.INTER_CUBIC)[0] / 2**octave
    line = (line - line.min()) / (line.max() - line.min())
    skyline: Picture = base - rise * line
    return skyline.astype(np.float32)


def hills(
    seed: int, skyline: Picture, top: Picture, foot: Picture, lit: Picture, depth: int
) -> Picture:
    """A range below its skyline: shaded slopes, lit flanks, haze towards the foot."""
    width = len(skyline)
    rows = np.arange(H, dtype=np.float32)[:, None] / SUPER
    under = np.clip((rows - skyline) * SUPER + 0.5, 0, 1)
    down = np.clip((rows - skyline) / depth, 0, 1)[..., None]
    lean = np.array([[1, 0.8, -0.4 * H], [0, 1, 0]], np.float32)
    slopes = cv2.warpAffine(
        cloud_noise(seed, H, width, (54 * SUPER, 40 * SUPER), 5),
        lean,
        (width, H),
        borderMode=cv2.BORDER_REFLECT,
    )
    flank = np.clip((slopes - np.roll(slopes, 5 * SUPER, axis=1)) * 7 + 0.25, 0, 1)[..., None]
    colour = (top * (1 - down) + foot * down) * (0.82 + 0.36 * slopes[..., None])
    colour = colour * (1 - 0.55 * flank * (1 - down)) + lit * 0.55 * flank * (1 - down)
    return np.concatenate([colour, under[..., None]], -1).astype(np.float32)


def balloon() -> Picture:
    """A striped hot-air balloon, 92 x 132."""
    image, draw = drawn(92, 132)
    s = SUPER
    stripes = ["#f4e3c1", "#d8483e", "#f2a93b", "#d8483e", "#f4e3c1", "#2f6f8f", "#f4e3c1"]
    draw.polygon(
        [(20 * s, 72 * s), (72 * s, 72 * s), (54 * s, 104 * s), (38 * s, 104 * s)], fill="#a8353a"
    )
    for i, colour in enumerate(stripes):
        half = 44 * (1 - i / len(stripes))
        draw.ellipse([(46 - half) * s, 2 * s, (46 + half) * s, 88 * s], fill=colour)
    for top, foot in ((39, 37), (53, 55)):
        draw.line([(top * s, 102 * s), (foot * s, 110 * s)], fill="#3a2432", width=s)
    draw.rounded_rectangle([34 * s, 108 * s, 58 * s, 130 * s], 2 * s, fill="#5b3a2c")
    layer = layer_of(image)
    x = np.linspace(0, 1, layer.shape[1], dtype=np.float32)[None, :, None]
    y = np.linspace(0, 1, layer.shape[0], dtype=np.float32)[:, None, None]
    lit_from_the_sun = np.clip(0.57 + 0.55 * x - 0.18 * y, 0.3, 1.1)
    layer[..., :3] *= lit_from_the_sun
    return layer


def boat() -> Picture:
    """A sailing boat, 120 x 130, its waterline at row 122."""
    image, draw = drawn(120, 130)
    s = SUPER
    draw.line([(62 * s, 14 * s), (62 * s, 106 * s)], fill="#3b2b33", width=2 * s)
    draw.polygon(
        [(59 * s, 22 * s), (59 * s, 98 * s), (12 * s, 98 * s), (34 * s, 8 * s)], fill="#f7ead2"
    )
    draw.polygon(
        [(66 * s, 26 * s), (66 * s, 98 * s), (106 * s, 98 * s), (78 * s, 26 * s)], fill="#e4603f"
    )
    for y in (38, 50, 62, 74, 86):  # seams of both sails
        left, right = 25 + 22 * (y - 8) / 90, 12 + 28 * (y - 26) / 72
        draw.line([((59 - left) * s, y * s), (59 * s, y * s)], fill="#c9b08f", width=s)
        draw.line([(66 * s, y * s), ((66 + right) * s, y * s)], fill="#b8432a", width=s)
    draw.ellipse([34 * s, 60 * s, 50 * s, 76 * s], fill="#2f6f8f")
    draw.polygon(
        [(6 * s, 104 * s), (114 * s, 104 * s), (100 * s, 122 * s), (22 * s, 122 * s)],
        fill="#4a2a2c",
    )
    draw.line([(8 * s, 106 * s), (112 * s, 106 * s)], fill="#c98a55", width=2 * s)
    return layer_of(image)


def bank() -> Picture:
    """The near shore: a dark slope with pines left and right of an open middle."""
    width = W + 2 * MARGIN
    image = Image.new("RGBA", (width, H))
    draw = ImageDraw.Draw(image)
    random = np.random.default_rng(21)
    line = ridge(22, 520, 26, 260, 3)
    draw.polygon(
        [(0, H), *((x, float(line[x]) * SUPER) for x in range(0, width, 8)), (width, H)],
        fill=(24, 18, 34, 255),
    )
    places = [150, 214, 262, 330, 372, 428, 930, 1010, 1066, 1120, 1188, 1262, 1330]
    for place in places:
        x = place * SUPER
        foot = float(line[x]) * SUPER + 8 * SUPER
        tall = random.uniform(120, 236) * SUPER
        broad = tall * 0.19
        shade = random.integers(-4, 7)
        colour = (22 + shade, 22 + shade, 38 + shade, 255)
        draw.rectangle([x - 3 * SUPER, foot - tall * 0.3, x + 3 * SUPER, foot], fill=colour)
        tiers = 9
        for tier in range(tiers):
            share = tier / tiers
            y = foot - tall * 0.1 - tall * 0.86 * share
            half = broad * (1 - share) * random.uniform(0.9, 1.1) + 3 * SUPER
            tip = y - tall * 0.86 / tiers * 2.0
            draw.polygon([(x - half, y), (x, tip), (x + half, y), (x, y - 3 * SUPER)], fill=colour)
    for _ in range(900):
        x = int(random.integers(0, width))
        foot = float(line[x]) * SUPER + 4 * SUPER
        tall, lean = random.uniform(6, 20) * SUPER, random.uniform(-5, 5) * SUPER
        draw.line([(x, foot), (x + lean, foot - tall)], fill=(30, 24, 40, 255), width=SUPER)
    return layer_of(image)


def water(above: Picture, t: float, sun_x: float) -> Picture:
    """The lake: the scene above turned over, stretched by ripples, darker towards the viewer."""
    rows = np.arange(H - HORIZON, dtype=np.float32)
    depth = rows / len(rows)
    ripple = cloud_noise(40, H - HORIZON, W + 2 * MARGIN, (7 * SUPER, 90 * SUPER), 3)
    scale = np.float32(0.25) + depth[:, None] * 1.2
    columns = np.arange(W, dtype=np.float32)[None]
    # Ripples belong to the water, which passes faster the nearer it is.
    at = (
        (columns - W / 2) / (0.55 + 0.45 * depth[:, None])
        + W / 2
        + MARGIN
        + 22 * SUPER * t * depth[:, None]
    )
    wave = (
        cv2.remap(
            ripple,
            at.astype(np.float32),
            np.broadcast_to(rows[:, None], at.shape).copy(),
            cv2.INTER_LINEAR,
        )
        - 0.5
    )
    source_y = HORIZON - 1 - rows[:, None] * 1.15 + wave * 34 * SUPER * scale
    source_x = columns + wave * 10 * SUPER * scale
    mirror = cv2.remap(
        above,
        np.broadcast_to(source_x, wave.shape).astype(np.float32),
        source_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    tint = gradient(
        [(0, rgb(214, 138, 124)), (0.4, rgb(92, 70, 112)), (1, rgb(30, 30, 66))], len(rows)
    )[:, None]
    share = (0.30 + 0.35 * depth)[:, None, None] * (1 - 0.7 * mirror.min(-1, keepdims=True) ** 2)
    picture: Picture = mirror * (1 - share) + tint * share
    path = np.exp(-(((columns / SUPER - sun_x) / (26 + 70 * depth[:, None])) ** 2))
    sparkle = np.clip(wave * 3.2 + 0.15, 0, 1) * path * (1 - 0.55 * depth[:, None])
    picture += sparkle[..., None] * rgb(255, 196, 128) * 0.9
    return picture


def lake(t: float) -> NDArray[np.uint8]:
    """The lake at moment t in [0, 1]: uint8 [HEIGHT, WIDTH, 3]."""
    m = -MARGIN / SUPER
    sun_x, sun_y = 588 - 3 * t, 198 + 12 * t
    picture = sky()
    picture = (
        picture
        + 0.5 * glow(sun_y, sun_x, 200) * rgb(255, 140, 60)
        + 0.2 * glow(sun_y, sun_x, 70) * rgb(255, 190, 90)
    )
    rows, columns = np.ogrid[:H, :W]
    distance = np.hypot(rows / SUPER - sun_y, columns / SUPER - sun_x)
    disc: Picture = np.clip(34 - distance, 0, 1)
    disc = disc.astype(np.float32)[..., None]
    picture = picture * (1 - disc) + rgb(255, 246, 214) * disc
    high = clouds(5, 20, 150, rgb(96, 66, 118), rgb(250, 150, 120), 0.42)
    low = clouds(6, 120, 120, rgb(190, 96, 112), rgb(255, 196, 140), 0.46)
    picture = over(over(picture, high, m + 20 * t), low, m + 12 * t)
    ranges = [  # seed, skyline, colour on top, at the foot, where lit, depth of the haze, speed
        (
            31,
            ridge(11, 312, 128, 300, 6),
            (132, 84, 124),
            (224, 140, 124),
            (250, 172, 130),
            150,
            10,
        ),
        (32, ridge(12, 324, 84, 210, 6), (88, 58, 98), (176, 104, 112), (226, 130, 104), 110, 8),
        (33, ridge(13, 334, 44, 150, 4), (44, 36, 68), (104, 66, 92), (160, 92, 88), 70, 13),
    ]
    for seed, skyline, top, foot, lit, haze, speed in ranges:
        range_ = hills(seed, skyline, rgb(*top), rgb(*foot), rgb(*lit), haze)
        picture = over(picture, range_, m - speed * t)
    picture = over(picture, balloon(), 240 + 16 * t, 142 - 14 * t)
    picture[HORIZON:] = water(picture, t, sun_x)
    sail_x, sail_y = 500 + 20 * t, 262 + 2 * t
    sail = boat()
    mirrored = sail[: 122 * SUPER][::-1].copy()
    mirrored[..., 3] *= np.linspace(0.55, 0.05, len(mirrored), dtype=np.float32)[:, None]
    picture = over(picture, mirrored, sail_x, sail_y + 122)
    picture = over(picture, sail, sail_x, sail_y)
    picture = over(picture, bank(), m - 22 * t)
    return finish(picture)


def city() -> NDArray[np.uint8]:
    """A town at night across a river: uint8 [HEIGHT, WIDTH, 3]."""
    random = np.random.default_rng(77)
    stops = [
        (0.0, rgb(8, 16, 40)),
        (0.5, rgb(16, 44, 78)),
        (0.8, rgb(34, 92, 112)),
        (1.0, rgb(98, 148, 140)),
    ]
    picture = np.repeat(gradient(stops, H)[:, None], W, axis=1)
    picture += 0.35 * glow(110, 216, 130) * rgb(190, 220, 235)
    moon = glow(110, 216, 34) > 0.4
    picture = np.where(moon, rgb(240, 240, 222), picture).astype(np.float32)
    image = Image.new("RGBA", (W, H))
    draw = ImageDraw.Draw(image)
    foot = 400 * SUPER
    for row, (colour, low, high) in enumerate(
        [((30, 66, 88), 90, 220), ((18, 40, 62), 60, 180), ((9, 20, 38), 40, 140)]
    ):
        x = -20 * SUPER
        while x < W:
            broad = int(random.integers(34, 84)) * SUPER
            tall = int(random.integers(low, high)) * SUPER
            draw.rectangle([x, foot - tall, x + broad, foot], fill=(*colour, 255))
            for y in range(foot - tall + 8 * SUPER, foot - 8 * SUPER, 12 * SUPER):
                for window in range(x + 6 * SUPER, x + broad - 6 * SUPER, 10 * SUPER):
                    if random.random() < 0.16 + 0.10 * row:
                        warm = (
                            255,
                            int(random.integers(176, 226)),
                            int(random.integers(96, 150)),
                            130 + 60 * row,
                        )
                        draw.rectangle([window, y, window + 4 * SUPER, y + 6 * SUPER], fill=warm)
            x += broad + int(random.integers(0, 14)) * SUPER
    picture = over(picture, layer_of(image))
    rows = np.arange(H - foot, dtype=np.float32)[:, None]
    wave = cloud_noise(78, H - foot, W, (6 * SUPER, 120 * SUPER), 3) - 0.5
    columns = np.broadcast_to(np.arange(W, dtype=np.float32)[None], wave.shape)
    flipped = cv2.remap(
        picture,
        (columns + wave * 30 * SUPER).astype(np.float32),
        (foot - 1 - rows * 1.6 + wave * 40 * SUPER).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    picture[foot:] = flipped * 0.62 + rgb(6, 20, 38) * 0.38
    return finish(picture)


def finish(picture: Picture) -> NDArray[np.uint8]:
    small = cv2.resize(np.clip(picture, 0, 1), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.round(small * 255).astype(np.uint8)


def main() -> None:
    from example_pairs import PAIRS  # beside this file

    folder = (
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else Path(__file__).resolve().parent.parent / "examples"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in {"lake_a": lake(0.0), "lake_b": lake(1.0), "city": city()}.items():
        Image.fromarray(picture).save(folder / f"{name}.jpg", quality=92, subsampling=0)
    (folder / "pairs").mkdir(exist_ok=True)
    for name, paint in PAIRS.items():
        Image.fromarray(paint()).save(folder / "pairs" / f"{name}.jpg", quality=90)


if __name__ == "__main__":
    main()
