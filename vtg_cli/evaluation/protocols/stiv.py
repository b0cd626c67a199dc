"""STIV (Lin et al., ICCV 2025, arXiv 2412.07730 v2): VBench, VBench-I2V, MSRVTT, interpolation."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vtg_cli.errors import UsageError
from vtg_cli.evaluation.protocols.base import Case, Distance, Found, Protocol, Row, Table
from vtg_cli.evaluation.protocols.layouts import PICTURES, clips, safe
from vtg_cli.ground import documents

FRAMES, SIZE = 20, (256, 256)
FVD = Distance("fvd", "FVD", "i3d-torchscript", of="clips", ddof=0)
FID = Distance("fid", "FID of frames", "inception")
CLIPS = "a video or a folder of numbered pictures for each clip, of {} frames or more"
MSRVTT_AT = "https://cove.thecvf.com/datasets/839 (MSR-VTT, test split)"
PROMPTS = "prompts.txt"
TABLE_9, TABLE_10 = "STIV, Table 9", "STIV, Table 10"
DIMENSIONS = ("subject consistency", "background consistency", "flicker")
VERSIONS = (
    "VBench's totals changed with its version: today's constants give SVD 88.4 from the raw "
    "dimensions for which STIV prints 89.9, and STIV-M-512 86.6 for 90.1. Only raw dimensions are "
    "computed here, from features of DINO and CLIP; a total takes all of them.",
    "Dynamic degree, motion smoothness, aesthetic and imaging quality and the semantic dimensions "
    "need networks that vtg does not run: absent, not replaced.",
)


def prompts(folder: Path) -> Found:
    """Read prompts.txt, one a line."""
    path = folder / PROMPTS
    if not path.is_file():
        return Found((), (f"there is no {path}",))
    with documents.reading(path, UsageError, "one prompt a line"):
        lines = documents.content_of(path).decode().splitlines()
    named = dict.fromkeys(line.strip() for line in lines if line.strip())
    return Found(tuple(Case(safe(text), captions=(text,)) for text in named))


def given_pictures(folder: Path) -> Found:
    """Read pictures whose names are their prompts, as VBench-I2V publishes them."""
    files = sorted(each for each in folder.iterdir() if each.suffix.lower() in PICTURES)
    cases = [Case(safe(each.stem), ends=(each, None), captions=(each.stem,)) for each in files]
    return Found(tuple(cases), () if cases else (f"{folder} holds no picture",))


def _vbench(system: str, *figures: float) -> Row:
    return Row(system, dict(zip(("quality", "semantic", "total"), figures, strict=True)), TABLE_9)


def _i2v(system: str, *figures: float) -> Row:
    return Row(system, dict(zip(("quality", "i2v", "total"), figures, strict=True)), TABLE_10)


VBENCH = Table(
    "vbench",
    "STIV, VBench",
    TABLE_9,
    f"{PROMPTS} with one prompt a line; clips named by their prompts come with --clips",
    "https://github.com/Vchitect/VBench (prompts)",
    prompts,
    FRAMES,
    SIZE,
    given="text",
    clip_scores=DIMENSIONS,
    published=(
        _vbench("CogVideoX-5B", 82.8, 77.0, 81.6),
        _vbench("Gen-3", 84.1, 75.2, 82.3),
        _vbench("Kling", 83.4, 75.7, 81.9),
        _vbench("STIV-T2V XL", 80.7, 72.5, 79.1),
        _vbench("STIV-T2V M-512", 82.2, 77.0, 81.2),
        _vbench("STIV-T2V M-512 SFT+TUP", 84.2, 78.5, 83.1),
    ),
    unclear=VERSIONS,
)
VBENCH_I2V = Table(
    "vbench-i2v",
    "STIV, VBench-I2V",
    TABLE_10,
    "the suite's pictures, named by their prompts; clips of the same names come with --clips",
    "https://github.com/Vchitect/VBench/tree/master/vbench2_beta_i2v",
    given_pictures,
    FRAMES,
    SIZE,
    given="first frames",
    clip_scores=("i2v subject", *DIMENSIONS),
    published=(
        _i2v("VideoCrafter-I2V", 81.3, 89.0, 85.1),
        _i2v("ConsistI2V", 78.9, 94.8, 86.8),
        _i2v("DynamiCrafter-512", 81.6, 96.6, 89.1),
        _i2v("SEINE-512", 80.6, 96.3, 88.4),
        _i2v("SVD", 82.8, 96.9, 89.9),
        _i2v("STIV-M-512", 82.1, 98.0, 90.1),
        _i2v("STIV-M-512-JIT", 81.9, 97.6, 89.8),
    ),
    unclear=VERSIONS,
)
MSRVTT = Table(
    "msrvtt",
    "STIV, MSRVTT",
    "STIV, Figure 10a",
    CLIPS.format(FRAMES),
    MSRVTT_AT,
    partial(clips, frames=FRAMES, step=3),
    FRAMES,
    SIZE,
    given="text",
    distances=(FVD,),
    published=(
        Row("STIV T2V", {"fvd": 536.2}, "STIV, Figure 10a"),
        Row("STIV V2V, 4 known frames", {"fvd": 183.7}, "STIV, Figure 10a"),
        Row("STIV TI2V, JIT-CFG", {"fvd": 94.1}, "STIV, Figure 7"),
    ),
    unclear=(
        "How many clips and which network the FVD is of is not said; here StyleGAN-V's I3D. "
        "Every third frame, as its training clips have.",
    ),
)
INTERPOLATION = Table(
    "interpolation",
    "STIV, frame interpolation on MSRVTT",
    "STIV, Figure 10b",
    CLIPS.format(FRAMES),
    MSRVTT_AT,
    partial(clips, frames=FRAMES),
    FRAMES,
    SIZE,
    given="every second frame",
    distances=(FID, FVD),
    published=(
        Row("STIV-TUP without text", {"fid": 2.2, "fvd": 6.3}, "STIV, Figure 10b"),
        Row("STIV-TUP", {"fid": 2.0, "fvd": 5.9}, "STIV, Figure 10b"),
    ),
    unclear=(
        "STIV-TUP knows every second frame and draws those between; a system here that is given "
        "both ends alone has the far harder task, and its figures do not compare.",
    ),
)
STIV = Protocol("stiv", "STIV, ICCV 2025", (VBENCH, VBENCH_I2V, MSRVTT, INTERPOLATION))
