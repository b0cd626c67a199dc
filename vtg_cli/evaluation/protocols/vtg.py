"""VTG (arXiv 2508.01698, ICCV 2025): MorphBench, TC-Bench-I2V, concept blending, TransitBench."""

from __future__ import annotations

from functools import partial

from vtg_cli.evaluation.protocols.base import Distance, Protocol, Row, Table
from vtg_cli.evaluation.protocols.layouts import pairs, parts

FRAMES, SIZE = 16, (512, 512)
FID = Distance(
    "fid", "FID, 2 random frames a clip", "inception", of="picks", repeats=10, real="inputs"
)
"""DiffMorpher's rule: against all input pictures, 10 times, the mean."""
ENDS_HINT = "pairs NAME_a and NAME_b (or _0 and _1)"
FID_NOTE = (
    "FID is DiffMorpher's, which its paper describes and whose code is not published: all input "
    "pictures against 2 random frames of every clip, 10 times, the mean. Here the frames are drawn "
    "from the seed."
)
PPL_NOTE = (
    "Published PPL is not the plain sum of LPIPS that the text defines: its size fits that sum "
    "times F - 1 (mean times (F - 1)^2, a remnant in TVG's code). ppl is the plain sum, ppl_scaled "
    "the second form; compare only the second with published rows."
)
ANIMATION, METAMORPHOSIS = "animation", "metamorphosis"


def _morph(system: str, source: str, *figures: float) -> tuple[Row, ...]:
    """Return the rows of metamorphosis, animation and all: FID and PPL of each, in this order."""
    groups = (METAMORPHOSIS, ANIMATION, "")
    pairs_of = zip(groups, figures[::2], figures[1::2], strict=False)
    return tuple(
        Row(system, {"fid": fid, "ppl_scaled": ppl}, source, group) for group, fid, ppl in pairs_of
    )


TVG = "TVG (arXiv 2408.13413), re-published by VTG"
NOTES = "VTG, MorphBench table, from notes on the paper"
MORPHBENCH = Table(
    "morphbench",
    "VTG, MorphBench",
    TVG,
    f"folders {ANIMATION} (24 pairs) and {METAMORPHOSIS} (66), in each {ENDS_HINT}",
    "https://github.com/Kevin-thu/DiffMorpher (MorphBench)",
    partial(parts, names=(ANIMATION, METAMORPHOSIS)),
    FRAMES,
    SIZE,
    expected=90,
    distances=(FID,),
    clip_scores=("ppl_scaled", "ppl", "pdv"),
    published=(
        *_morph("Warp & Blend", TVG, 79.63, 15.97, 56.86, 9.58, 67.57, 14.27),
        *_morph("DGP", TVG, 150.29, 29.65, 194.65, 27.50, 138.20, 29.08),
        *_morph("StyleGAN-XL", TVG, 122.42, 41.94, 133.73, 33.43, 112.63, 39.67),
        *_morph("DDIM", TVG, 95.44, 27.38, 174.31, 18.70, 101.68, 25.38),
        *_morph("Diff.Interp", TVG, 169.07, 108.51, 148.95, 96.12, 146.66, 105.23),
        *_morph("DiffMorpher", TVG, 70.49, 18.19, 43.15, 5.14, 54.69, 21.10),
        *_morph("SEINE", TVG, 82.03, 47.72, 48.25, 16.26, 67.60, 39.33),
        *_morph("DynamiCrafter", TVG, 87.32, 42.09, 43.31, 11.16, 69.13, 33.84),
        *_morph("TVG", TVG, 86.92, 35.18, 42.99, 12.46, 64.05, 29.08),
        *_morph("VTG", NOTES, 67.39, 22.80, 39.16, 5.14),
    ),
    unclear=(
        FID_NOTE,
        PPL_NOTE,
        "VTG's animation PPL is printed equal to DiffMorpher's in the notes, which is suspicious; "
        "DDIM's metamorphosis PPL is 27.80 in DiffMorpher's own table.",
        "Frames: 16 here, as VTG's pictures have; DiffMorpher's PPL is of 17.",
    ),
)


def _tc(system: str, source: str, *figures: float) -> tuple[Row, ...]:
    groups = ("attribute", "object", "background", "")
    values = zip(groups, figures[::2], figures[1::2], strict=True)
    return tuple(
        Row(system, {"tcr": tcr, "tc_score": score}, source, group) for group, tcr, score in values
    )


FIVE, ONE = "TC-Bench's own answers, 5 videos a prompt", "TVG, 1 video a prompt"
TC_BENCH = Table(
    "tcbench",
    "VTG, TC-Bench-I2V",
    "TVG, re-published by VTG",
    f"folders attribute (55 pairs), object (46) and background (18), in each {ENDS_HINT}, "
    "captions.csv with name,from,to",
    "https://github.com/weixi-feng/TC-Bench",
    partial(parts, names=("attribute", "object", "background")),
    FRAMES,
    SIZE,
    expected=119,
    judged=True,
    published=(
        *_tc("DynamiCrafter", FIVE, 16.55, 0.745, 13.91, 0.707, 25.56, 0.795, 16.89, 0.738),
        *_tc("SEINE", FIVE, 17.86, 0.720, 10.48, 0.654, 7.96, 0.742, 13.57, 0.698),
        *_tc("DiffMorpher", ONE, 41.82, 0.844, 19.57, 0.765, 50.00, 0.819, 34.45, 0.810),
        *_tc("TVG", ONE, 41.82, 0.877, 30.44, 0.822, 38.89, 0.864, 36.98, 0.853),
        *(
            Row("VTG", {"tcr": tcr}, "VTG, from notes on the paper", group)
            for group, tcr in (("attribute", 42.78), ("object", 33.46), ("background", 50.00))
        ),
    ),
    unclear=(
        "A vision-language model judges the clips; vtg asks none. Give its answers with "
        "--answers NAME=FILE.json, or the rows have no TCR.",
        "An unclear answer (0.5) completes a transition in the benchmark's own code; so here.",
        "DynamiCrafter's and SEINE's rows are of 5 videos a prompt, DiffMorpher's and TVG's of 1. "
        "VTG's 42.78 and 33.46 are no shares of 55 and 46: means over runs.",
    ),
)
BLENDING = Table(
    "blending",
    "VTG, concept blending",
    "VTG; its figures are not published in what could be read",
    f"{ENDS_HINT} of different concepts, captions.csv with name,from,to",
    "https://huggingface.co/datasets/mwxely/TransitBench (its concept pairs)",
    pairs,
    FRAMES,
    SIZE,
    distances=(FID,),
    clip_scores=("smoothness", "consistency", "worst"),
    unclear=(
        FID_NOTE,
        "AID's code feeds LPIPS pictures normalised for ImageNet, which LPIPS does not expect; "
        "smoothness here is of [-1, 1], as LPIPS is defined.",
    ),
)
TASKS = ("morphing", "motion", "blending", "scene")
TRANSITBENCH = Table(
    "transitbench",
    "VTG, TransitBench",
    "VTG; its figures are not published in what could be read",
    f"folders of its tasks, such as {', '.join(TASKS)}, in each {ENDS_HINT}; a task whose folder "
    "is not there is told and left out",
    "https://huggingface.co/datasets/mwxely/TransitBench",
    partial(parts, names=TASKS),
    FRAMES,
    SIZE,
    expected=200,
    distances=(FID,),
    clip_scores=("smoothness", "ppl_scaled", "ppl"),
    unclear=(
        FID_NOTE,
        PPL_NOTE,
        "The split of the 200 pairs over tasks is not published; notes on the paper name concept "
        "blending and scene transition.",
    ),
)
VTG = Protocol("vtg", "VTG, ICCV 2025", (MORPHBENCH, TC_BENCH, BLENDING, TRANSITBENCH))
