"""The options of a job that say what draws, where, and what is done about a bad result, each
declared once (ground/option.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from vtg_cli.ground.literals import Dtype, Memory, OnBad
from vtg_cli.ground.option import MACHINE, MODEL, QUALITY, Opt

MAX_CANDIDATES = 100


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What draws."""

    model: Annotated[
        str,
        Opt(
            "What draws the frames: auto (the best model already on this machine that it "
            "can run), tiny (embedded), flow (embedded; a draft, the fastest), rife (learned "
            "motion; 'vtg models pull rife' brings it), a name "
            "from 'vtg models list', a folder in diffusers layout, or a hub id such as "
            "org/name. Nothing is ever downloaded from here.",
            MODEL,
            metavar="NAME",
            example="tiny",
            complete="model_names",
            variable="VTG_MODEL",
            common=True,
        ),
    ] = "auto"
    reverse: Annotated[
        str | None,
        Opt(
            "Reverse-motion weights for method gi: a delta file (see 'vtg models delta'), "
            "the folder of a tuned U-Net, a catalogue name or a hub id. Default: what the "
            "catalogue knows for the model, if it is on this machine.",
            MODEL,
            metavar="WEIGHTS",
            needs="diffusion",
            example="delta.safetensors",
            complete="reverse_names",
        ),
    ] = None
    reverse_base: Annotated[
        str | None,
        Opt(
            "What the tuned U-Net of --reverse was tuned from: a folder or a name.",
            MODEL,
            metavar="WEIGHTS",
            needs="diffusion",
            example="svd-xt",
        ),
    ] = None
    lora: Annotated[
        str,
        Opt(
            "Whether a diffusion model learns each keyframe before it draws, which keeps "
            "what is in between true to both. fit: it does, 200 training steps a "
            "keyframe, kept for the next time in ~/.cache/vtg/lora. FOLDER: what an "
            "earlier fit kept, and nothing is fitted. Training needs more memory than "
            "drawing.",
            MODEL,
            metavar="off|fit|FOLDER",
            needs="diffusion",
            example="off",
            complete="lora_names",
            read=os.fspath,
        ),
    ] = "off"
    fast: Annotated[
        bool,
        Opt(
            "A quicker, rougher clip of a diffusion model: 10 steps (animatelcm-svd-xt 4) "
            "or the model's own if those are fewer, on --schedule ays where it can be, "
            "and no --lora fit. Numbers given beside it stay.",
            MODEL,
            needs="diffusion",
            example=True,
            common=True,
        ),
    ] = False
    quality: Annotated[
        bool,
        Opt(
            "A slower, finer clip of a diffusion model: 50 steps, for tvg 25, or the "
            "model's own if those are more. tiny keeps its 2, which more of them do not "
            "better, and animatelcm-svd-xt takes 8. A number given beside it stays.",
            MODEL,
            needs="diffusion",
            example=True,
            common=True,
        ),
    ] = False
    compile: Annotated[
        bool,
        Opt(
            "Compile a diffusion model's transformer blocks, or rife's stages, first "
            "(torch.compile): minutes at the start, quicker steps after it, the same frames "
            "but for rounding. For long clips on a GPU.",
            MACHINE,
            needs="network",
            example=True,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What happens to a segment that is no in-between."""

    on_bad: Annotated[
        OnBad,
        Opt(
            "What to do with a segment that is no in-between but a slideshow, a hard cut, "
            "a plain cross-fade, frozen or flickering. warn: say so. retry: draw it "
            "again, other seeds, and keep the best; where nothing is left to chance, at "
            "temperature 1. fallback: let flow draw it, if that is better. fail: make "
            "nothing, exit code 6.",
            QUALITY,
            example="warn",
            common=True,
        ),
    ] = "warn"
    candidates: Annotated[
        int | None,
        Opt(
            "How often --on-bad retry draws a segment at most, the first time included; "
            "it stops at the first good one. Default: 4.",
            QUALITY,
            metavar="N",
            low=2,
            high=MAX_CANDIDATES,
            example=4,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where it is computed."""

    decode_chunk: Annotated[
        int | None,
        Opt(
            "Frames a diffusion model decodes at once: fewer need less memory.",
            MACHINE,
            metavar="N",
            needs="diffusion",
            low=1,
            high=10000,
            example=8,
        ),
    ] = None
    memory: Annotated[
        Memory,
        Opt(
            "What a diffusion model does to need less memory, from full (nothing) to "
            "tiled. auto: as little as it must, less where memory runs out.",
            MACHINE,
            needs="diffusion",
            scope="clip",
            example="auto",
            idle=("full",),
            common=True,
        ),
    ] = "auto"
    device: Annotated[
        str,
        Opt(
            "Where to compute: auto, cpu, cuda, cuda:1 or mps. flow runs on the CPU.",
            MACHINE,
            metavar="NAME",
            needs="network",
            scope="clip",
            example="auto",
            idle=("cpu",),
            common=True,
        ),
    ] = "auto"
    dtype: Annotated[
        Dtype,
        Opt(
            "Number format of a network. auto: fp16 on a GPU, fp32 on a CPU.",
            MACHINE,
            needs="network",
            scope="clip",
            example="auto",
        ),
    ] = "auto"
