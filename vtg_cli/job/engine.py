"""The options of a job that say what draws, where, and what is done about a bad result, each
declared once (ground/option.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from vtg_cli.ground.literals import Dtype, Memory, OnBad
from vtg_cli.ground.option import MACHINE, MODEL, QUALITY, Opt
from vtg_cli.job.methods import USUAL, differing, needing

MAX_CANDIDATES = 100


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The options of what draws."""

    model: Annotated[
        str,
        Opt(
            "Model that draws the frames: auto (the best model already on this machine that it "
            "can run), tiny (embedded), flow (embedded; a draft, the fastest), rife (learned "
            "motion; 'vtg models pull rife' brings it), tiny+rife (both), a name from "
            "'vtg models list', a folder in diffusers layout, or a hub id such as org/name. This "
            "option never downloads anything.",
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
            f"Reverse-motion weights for method {needing('reverse')}: a delta file (see 'vtg "
            "models delta'), the folder of a tuned U-Net, a catalogue name or a hub id. Default: "
            "what the catalogue knows for the model, if it is on this machine.",
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
            "Base of the tuned U-Net of --reverse: a folder or a name.",
            MODEL,
            metavar="WEIGHTS",
            needs="diffusion",
            example="svd-xt",
        ),
    ] = None
    lora: Annotated[
        str,
        Opt(
            "Fine-tune a diffusion model on each keyframe before it draws, which keeps the frames "
            "between true to both. fit: 200 training steps a keyframe, cached in "
            "~/.cache/vtg/lora. FOLDER: use what an earlier fit kept. Training needs more memory "
            "than drawing.",
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
            f"Faster and rougher, with a diffusion model: {USUAL.fast_steps} steps "
            "(animatelcm-svd-xt 4) or the model's own if those are fewer, on --schedule ays where "
            "possible, and no --lora fit. Explicit numbers take precedence.",
            MODEL,
            needs="diffusion",
            example=True,
            common=True,
        ),
    ] = False
    quality: Annotated[
        bool,
        Opt(
            f"Slower and finer, with a diffusion model: {USUAL.quality_steps} steps, "
            f"{differing('quality_steps')}, or the model's own "
            "if those are more. tiny keeps its 2, as more do not help, and animatelcm-svd-xt "
            "takes 8. An explicit number takes precedence.",
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
            "(torch.compile): minutes at the start, faster steps afterwards, the same frames up "
            "to rounding. For long clips on a GPU.",
            MACHINE,
            needs="network",
            example=True,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Judging:
    """The options of what happens to a segment that is no in-between."""

    on_bad: Annotated[
        OnBad,
        Opt(
            "What to do with a segment that is no in-between but a slideshow, a hard cut, a plain "
            "cross-fade, frozen or flickering. warn: report it. retry: draw it again with other "
            "seeds and keep the best; at temperature 0, with temperature 1. fallback: let flow "
            "draw it, if that is better. fail: make nothing, exit code 6.",
            QUALITY,
            example="warn",
            common=True,
        ),
    ] = "warn"
    candidates: Annotated[
        int | None,
        Opt(
            "How many times --on-bad retry draws a segment at most, the first included; it stops "
            "at the first good one. Default: 4.",
            QUALITY,
            metavar="N",
            low=2,
            high=MAX_CANDIDATES,
            example=4,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The options of where it is computed."""

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
            "How far a diffusion model goes to save memory, from full (not at all) to tiled. "
            "auto: no further than it must, further when memory runs out.",
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
            "Precision of a network. auto: fp16 on a GPU, fp32 on a CPU.",
            MACHINE,
            needs="network",
            scope="clip",
            example="auto",
        ),
    ] = "auto"
