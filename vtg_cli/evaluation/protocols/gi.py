"""Generative Inbetweening (Wang et al., ICLR 2025, arXiv 2408.15239 v2), Tables 1 and 2."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vtg_cli.evaluation.protocols.base import Distance, Found, Protocol, Row, Table
from vtg_cli.evaluation.protocols.layouts import clips

FRAMES, SIZE = 25, (576, 1024)
FID = Distance("fid", "FID", "inception")
FVD = Distance("fvd", "FVD, content-debiased", "videomae", of="clips", clip=16, ddof=0)
"""Ge et al. 2024; its network takes 16 frames."""
PICTURES = ("JPEGImages/Full-Resolution", "JPEGImages/480p")
"""Folders of DAVIS."""
SOURCE = "GI v2, Tables 1-2"
UNCLEAR = (
    "Which two frames of a clip are the pair is not published, only that they are 25 or more "
    "frames apart. Here: the first 25 consecutive frames, whose first and last are given.",
    "The content-debiased network takes 16 of the 25 frames. Which 16 is not said; its own loader "
    "takes a random place. Here: a place drawn for each clip from the seed, the same for all "
    "systems and the truth.",
    "DynamiCrafter's row is of 512x320, as the paper prints it.",
)


def davis(folder: Path) -> Found:
    """Read DAVIS, unpacked or its pictures alone; its masks are no clips."""
    inside = [folder / name for name in PICTURES if (folder / name).is_dir()]
    return clips((inside or [folder])[0], FRAMES)


def _rows(fid_fvd: dict[str, tuple[float, float]]) -> tuple[Row, ...]:
    return tuple(
        Row(name, {"fid": fid, "fvd": fvd}, SOURCE) for name, (fid, fvd) in fid_fvd.items()
    )


DAVIS = Table(
    "davis",
    "GI, DAVIS",
    SOURCE,
    "a folder of numbered pictures for each sequence, of 25 frames or more (DAVIS' own "
    "JPEGImages/480p or Full-Resolution)",
    "https://davischallenge.org/davis2017/code.html (TrainVal and Test-Dev)",
    davis,
    FRAMES,
    SIZE,
    expected=117,
    distances=(FID, FVD),
    published=_rows(
        {
            "FILM": (41.85, 1048.65),
            "TRF": (36.79, 563.07),
            "DynamiCrafter interp (512x320)": (38.32, 439.74),
            "GI without rotation": (36.70, 549.98),
            "GI without fine-tuning": (47.23, 604.76),
            "GI": (32.68, 424.69),
        }
    ),
    unclear=UNCLEAR,
)
PEXELS = Table(
    "pexels",
    "GI, Pexels",
    SOURCE,
    "a video or a folder of numbered pictures for each clip, of 25 frames or more",
    "https://www.pexels.com; the authors' list of clips is not published",
    partial(clips, frames=FRAMES),
    FRAMES,
    SIZE,
    expected=106,
    distances=(FID, FVD),
    published=_rows(
        {
            "FILM": (25.16, 371.83),
            "TRF": (31.43, 563.16),
            "DynamiCrafter interp (512x320)": (32.06, 393.12),
            "GI without rotation": (26.42, 458.76),
            "GI without fine-tuning": (37.68, 555.10),
            "GI": (22.99, 306.84),
        }
    ),
    unclear=(
        *UNCLEAR,
        "Version 1 of the paper has 45 pairs, version 2, whose rows these are, has 106.",
    ),
)
GI = Protocol("gi", "Generative Inbetweening, ICLR 2025", (DAVIS, PEXELS))
