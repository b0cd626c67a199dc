"""AID (Xing et al., ICCV 2025, arXiv 2406.06465): prediction from known frames and a sentence."""

from __future__ import annotations

from functools import partial

from vtg_cli.evaluation.protocols.base import Distance, Protocol, Row, Table
from vtg_cli.evaluation.protocols.layouts import clips

SIZE = (256, 256)
FVD = Distance("fvd", "FVD as Seer computes it", "i3d-seer", of="clips")
KVD = Distance("kvd", "KVD", "i3d-seer", kind="kernel", of="clips")
CENTRED = Distance("kvd_centred", "KVD as Seer computes it", "i3d-seer", "centred kernel", "clips")
FID = Distance("fid", "FID", "inception")
LAYOUT = "a video or a folder of numbered pictures for each clip, of {} frames or more"
TABLE_1 = "AID, Table 1, from notes on the paper"
UNCLEAR = (
    "Seer's evaluation, on which AID's table seems to rest, calls its Frechet function first, "
    "which subtracts the means in place: its KVD is of features centred each on its own mean. "
    "kvd_centred is that, kvd the plain one; compare the first with published figures.",
    "Seer takes the Frechet distance in float32 and drops eigenvalues below 1e-10; here float64.",
    "Known frames are counted in both clips, as Seer does. Each clip's first frames are taken, one "
    "after the other; the paper's stride is not said.",
)


def _table(
    name: str,
    title: str,
    frames: int,
    expected: int,
    where: str,
    published: tuple[Row, ...],
    distances: tuple[Distance, ...] = (FVD, KVD, CENTRED),
    unclear: tuple[str, ...] = (),
) -> Table:
    return Table(
        name,
        f"AID, {title}",
        published[0].source,
        LAYOUT.format(frames),
        where,
        partial(clips, frames=frames),
        frames,
        SIZE,
        expected,
        "first frames",
        distances,
        published=published,
        unclear=(*unclear, *UNCLEAR),
    )


def _rows(
    fvd: dict[str, float], kvd: dict[str, float] | None = None, source: str = TABLE_1
) -> tuple[Row, ...]:
    kernel = kvd or {}
    return tuple(
        Row(
            system,
            {"fvd": value} | ({"kvd_centred": kernel[system]} if system in kernel else {}),
            source,
        )
        for system, value in fvd.items()
    )


SSV2 = _table(
    "ssv2",
    "Something-Something V2, 2 known frames",
    12,
    2048,
    "https://www.qualcomm.com/developer/software/something-something-v-2-dataset (validation)",
    _rows(
        {
            "SimVP": 537.2,
            "PVDM": 502.4,
            "VideoFusion": 163.2,
            "Tune-A-Video": 291.4,
            "Seer": 112.9,
            "AID": 50.23,
        },
        {"AID": 0.02},
    ),
)
BRIDGE = _table(
    "bridge",
    "BridgeData, 1 known frame",
    16,
    5558,
    "https://rail-berkeley.github.io/bridgedata",
    _rows(
        {
            "SimVP": 681.6,
            "PVDM": 490.4,
            "VideoFusion": 501.2,
            "Tune-A-Video": 515.7,
            "Seer": 246.3,
            "AID": 21.57,
        }
    ),
    unclear=("Seer's public list, split 80 to 20, has 5,017 validation clips, not 5,558.",),
)
EPIC = _table(
    "epic",
    "Epic-Kitchens-100, 1 known frame",
    12,
    9342,
    "https://epic-kitchens.github.io",
    _rows(
        {
            "SimVP": 1991,
            "PVDM": 482.3,
            "VideoFusion": 349.9,
            "Tune-A-Video": 365.0,
            "Seer": 271.4,
            "AID": 52.78,
        }
    ),
)
TABLE_4 = "AID, Table 4, from a summary of the paper"
UCF = _table(
    "ucf101",
    "UCF-101, 1 or 5 known frames",
    16,
    2048,
    "https://www.crcv.ucf.edu/data/UCF101.php (test split)",
    (
        *_rows({"CogVideo": 626, "Seer": 260.7, "Make-A-Video": 81.25}, source=TABLE_4),
        Row("AID, 1 known frame", {"fvd": 102, "fid": 16.5}, TABLE_4),
        Row("AID, 5 known frames", {"fvd": 61.22, "fid": 12.1}, TABLE_4),
    ),
    (FVD, FID),
)
AID = Protocol("aid", "AID, ICCV 2025", (SSV2, BRIDGE, EPIC, UCF))
