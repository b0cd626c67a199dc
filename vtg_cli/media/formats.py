"""The output formats, as plain facts, and the ffmpeg arguments they come to.

Frames are RGB of the sRGB curve. Every format that stores YUV gets the BT.709 matrix in limited
range and the tags that say so (y4m has no tag for the matrix: read it as BT.709). A comment is
kept by mp4, mov, mkv, webm and nut; the others have no place for one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Codec:
    """A pixel format of ffmpeg and the encoder arguments that go with it."""

    pixels: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Crf:
    """The range of a format's constant rate factor and the value taken when none is asked for."""

    lowest: int
    default: int
    highest: int


@dataclass(frozen=True, kw_only=True)
class Format:
    """One output format.

    name:      also the name of the stream, for `--format`
    suffix:    of its files; None: a stream for stdout
    codec:     for opaque frames
    odd:       for opaque frames of odd width or height, which `codec` cannot take; None: it can
    alpha:     for frames with alpha; None: it holds none
    muxer:     ffmpeg's container arguments
    crf:       None: the format has no such choice
    lossless:  the frames come back bit for bit
    sides:     the fewest and the most pixels on a side
    fastest:   the most frames a second; None: no limit that matters
    """

    name: str
    suffix: str | None
    codec: Codec
    muxer: tuple[str, ...]
    odd: Codec | None = None
    alpha: Codec | None = None
    crf: Crf | None = None
    lossless: bool = False
    sides: tuple[int, int] = (1, 65535)
    fastest: int | None = None


_X264 = ("-c:v", "libx264")
_PRORES = ("-c:v", "prores_ks", "-vendor", "apl0", "-profile:v")
_FFV1 = ("-c:v", "ffv1", "-level", "3", "-g", "1")
_VP9 = ("-c:v", "libvpx-vp9", "-b:v", "0", "-row-mt", "1")
_PNG = ("-c:v", "png", "-pred", "mixed", "-compression_level", "3")
_APNG = ("-c:v", "apng", "-pred", "mixed")
_GIF = ("-c:v", "gif")
_WEBP = ("-c:v", "libwebp", "-quality", "90")
_RAW = ("-c:v", "rawvideo")

FORMATS: tuple[Format, ...] = (
    Format(
        name="mp4",
        suffix=".mp4",
        codec=Codec("yuv420p", _X264),
        odd=Codec("yuv444p", _X264),
        muxer=("-movflags", "+faststart", "-f", "mp4"),
        crf=Crf(0, 16, 51),
        sides=(1, 16384),
    ),
    Format(
        name="mov",
        suffix=".mov",
        codec=Codec("yuv422p10le", (*_PRORES, "3")),
        alpha=Codec("yuva444p10le", (*_PRORES, "4", "-alpha_bits", "16")),
        muxer=("-f", "mov"),
        sides=(2, 65535),
    ),
    Format(
        name="mkv",
        suffix=".mkv",
        codec=Codec("bgr0", _FFV1),
        alpha=Codec("bgra", _FFV1),
        muxer=("-f", "matroska"),
        lossless=True,
        sides=(2, 65535),
    ),
    Format(
        name="webm",
        suffix=".webm",
        codec=Codec("yuv420p", _VP9),
        alpha=Codec("yuva420p", (*_VP9, "-auto-alt-ref", "0")),
        muxer=("-f", "webm"),
        crf=Crf(0, 20, 63),
    ),
    Format(
        name="gif",
        suffix=".gif",
        codec=Codec("pal8", _GIF),
        alpha=Codec("pal8", _GIF),  # on or off, from half on
        muxer=("-loop", "0", "-f", "gif"),
        fastest=50,  # viewers play a delay under 2/100 s at 10 frames a second
    ),
    Format(
        name="webp",
        suffix=".webp",
        # not libwebp_anim, which merges equal neighbours and so loses the frame count
        codec=Codec("bgra", _WEBP),
        alpha=Codec("bgra", _WEBP),  # webp.py makes its frames stand alone
        muxer=("-loop", "0", "-f", "webp"),
        sides=(1, 16383),
        fastest=1000,
    ),
    Format(
        name="apng",
        suffix=".apng",
        codec=Codec("rgb24", _APNG),
        alpha=Codec("rgba", _APNG),
        muxer=("-plays", "0", "-f", "apng"),
        lossless=True,
    ),
    Format(
        name="png",
        suffix=".png",
        codec=Codec("rgb24", _PNG),
        alpha=Codec("rgba", _PNG),
        muxer=("-start_number", "0", "-f", "image2"),
        lossless=True,
    ),
    Format(
        name="y4m",
        suffix=None,
        codec=Codec("yuv420p", ("-c:v", "wrapped_avframe")),
        odd=Codec("yuv444p", ("-c:v", "wrapped_avframe")),
        muxer=("-f", "yuv4mpegpipe"),
    ),
    Format(
        name="rawvideo",
        suffix=None,
        codec=Codec("rgb24", _RAW),
        alpha=Codec("rgba", _RAW),
        muxer=("-f", "rawvideo"),
        lossless=True,
    ),
    Format(
        name="nut",
        suffix=None,
        codec=Codec("rgb24", _RAW),
        alpha=Codec("rgba", _RAW),
        muxer=("-f", "nut"),
        lossless=True,
    ),
)
FILES = {each.suffix: each for each in FORMATS if each.suffix is not None}
STREAMS = {each.name: each for each in FORMATS if each.suffix is None}

SCALING = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"  # swscale at its most exact
_PALETTE = "split[a][b];[a]palettegen[palette];[b][palette]paletteuse"


def arguments(
    form: Format, *, height: int, width: int, alpha: bool, crf: int | None = None
) -> list[str]:
    """Return ffmpeg's output arguments, except the file name, for frames of this size.

    alpha: for formats that hold it
    crf: None takes the format's own default
    """
    codec = form.codec
    if alpha and form.alpha is not None:
        codec = form.alpha
    elif form.odd is not None and (height % 2 or width % 2):
        codec = form.odd
    if codec.pixels.startswith("yuv"):
        filters = [
            *("-vf", _bt709(codec.pixels, height, width)),
            *("-color_range", "tv", "-colorspace", "bt709"),
            *("-color_primaries", "bt709", "-color_trc", "bt709"),
            *("-chroma_sample_location", "left"),
        ]
    elif codec.pixels == "pal8":
        filters = ["-vf", _PALETTE]
    else:
        filters = ["-pix_fmt", codec.pixels]
    quality: list[str] = []
    if form.crf is not None:
        quality = ["-crf", str(form.crf.default if crf is None else crf)]
    return [*filters, *codec.arguments, *quality, *form.muxer]


def _bt709(pixels: str, height: int, width: int) -> str:
    """Return ffmpeg's filters from RGB to limited BT.709, chroma level with the left luma column.

    Where an odd side meets halved chroma, the last column or row is doubled for the conversion:
    left to itself, it would stretch the chroma to the next even size.
    """
    steps = [
        f"scale=out_color_matrix=bt709:out_range=tv:out_h_chr_pos=0:flags={SCALING}",
        f"format={pixels}",
        "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709",
    ]
    right, bottom = width % 2, height % 2
    if "444" not in pixels and (right or bottom):
        planar = "gbrap" if "yuva" in pixels else "gbrp"
        steps = [
            f"format={planar},pad={width + right}:{height + bottom}",
            f"fillborders=right={right}:bottom={bottom}:mode=smear",
            *steps,
            f"crop={width}:{height}:0:0:exact=1",
        ]
    return ",".join(steps)
