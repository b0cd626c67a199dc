"""VIDM (Mei and Patel, AAAI 2023, arXiv 2212.00235): clips out of nothing, 16 and 128 frames."""

from __future__ import annotations

from functools import partial

from vtg_cli.evaluation.protocols.base import Distance, Protocol, Row, Table
from vtg_cli.evaluation.protocols.layouts import clips

FVD = Distance("fvd", "FVD, StyleGAN-V's I3D", "i3d-torchscript", of="clips")
FID = Distance("fid", "FID of frames", "inception")
FVD_OWN = Distance("fvd_vidm", "FVD, VIDM's inputs", "i3d-torchscript-vidm", of="clips")
IS = Distance("is", "inception score", "c3d", "inception", "clips", 16, shuffle=True)
IS_OWN = Distance("is_vidm", "inception score, VIDM's inputs", "c3d-vidm", "inception", "clips", 16)
CLIPS = 2048
SOURCE = "VIDM, Tables 1-2, from a summary of the paper"
MEMORY = "VIDM, quoted from memory: not checked against the paper"
UNCLEAR = (
    "VIDM's public scripts hand the torchscript files pictures in [0, 1], which expect code values "
    "0 to 255 as StyleGAN-V gives them; which one the table used is not said. fvd and is have "
    "StyleGAN-V's inputs, fvd_vidm and is_vidm VIDM's; published figures stand under the first.",
    "Covariances are divided by N - 1, as VIDM's own script does; StyleGAN-V divides by N. With "
    "2,048 clips that changes them by 0.05 %.",
    "StyleGAN-V shuffles clips before the inception score's ten splits (is), VIDM takes them as "
    "they come (is_vidm).",
    "Of every real video one stretch of frames counts, at a place drawn from the seed.",
)


def _table(
    name: str,
    title: str,
    frames: int,
    side: int,
    where: str,
    published: dict[str, float],
    source: str = SOURCE,
    extra: tuple[Row, ...] = (),
    distances: tuple[Distance, ...] = (FVD, FVD_OWN, FID),
) -> Table:
    rows = tuple(Row(system, {"fvd": fvd}, source) for system, fvd in published.items())
    return Table(
        name,
        f"VIDM, {title}, {frames} frames",
        source,
        f"a video or a folder of numbered pictures for each clip, of {frames} frames or more",
        where,
        partial(clips, frames=frames, start=None),
        frames,
        (side, side),
        CLIPS,
        "nothing",
        distances,
        published=(*rows, *extra),
        unclear=UNCLEAR,
    )


UCF = "https://www.crcv.ucf.edu/data/UCF101.php"
SKY = "https://github.com/weixiong-ur/mdgan (Sky Time-lapse)"
TAICHI = "https://github.com/AliaksandrSiarohin/first-order-model (TaiChi-HD)"
CLEVRER = "http://clevrer.csail.mit.edu"
_UCF = {"VIDM": 294.7, "DIGAN": 471.9, "StyleGAN-V": 1431.0}
_IS = (("VIDM", 64.17), ("DIGAN", 59.68), ("VDM", 57.0))
TABLES = (
    _table(
        "ucf101-16",
        "UCF-101 256",
        16,
        256,
        UCF,
        _UCF,
    ),
    _table(
        "ucf101-16-128",
        "UCF-101 128",
        16,
        128,
        UCF,
        {},
        extra=tuple(Row(system, {"is": score}, SOURCE) for system, score in _IS),
        distances=(IS, IS_OWN, FVD, FVD_OWN, FID),
    ),
    _table("ucf101-128", "UCF-101 256", 128, 256, UCF, {"VIDM": 1531.9}, MEMORY),
    _table("sky-16", "Sky 256", 16, 256, SKY, {"VIDM": 57.4, "DIGAN": 83.1, "StyleGAN-V": 79.5}),
    _table("sky-128", "Sky 256", 128, 256, SKY, {"VIDM": 140.9}, MEMORY),
    _table("taichi-16", "TaiChi-HD 128", 16, 128, TAICHI, {"VIDM": 121.9, "DIGAN": 128.1}, MEMORY),
    _table("taichi-128", "TaiChi-HD 128", 128, 128, TAICHI, {"VIDM": 563.6}, MEMORY),
    _table("clevrer-16", "CLEVRER 256", 16, 256, CLEVRER, {}),
    _table(
        "clevrer-128",
        "CLEVRER 256",
        128,
        256,
        CLEVRER,
        {"VIDM": 426.5, "DIGAN": 531.7, "StyleGAN-V": 493.3},
    ),
)
VIDM = Protocol("vidm", "VIDM, AAAI 2023", TABLES)
