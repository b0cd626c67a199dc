"""The catalogue's rows for feature networks, with which published scores are computed.

Hashes are those their publishers or other projects' lists of downloads state; "" where none was
found. docs/evaluation.md says which score takes which.
"""

from __future__ import annotations

from vtg_cli.weights.entry import Entry, Link, Wheel

_APACHE = "Apache-2.0"
_APACHE_TERMS = "Free for any use, with the licence and notices kept."
_MIT_TERMS = "Free for any use, with the licence kept."
_BSD = "BSD-3-Clause (torchvision)"
_BSD_TERMS = (
    "Free for any use, with the licence kept; trained on ImageNet, and whether its terms bind the "
    "weights is for their user to decide."
)
_UNSTATED = "none stated"
_UNSTATED_TERMS = "Whoever published it states no terms for the file."


def _torchvision(name: str, file: str, size: int, sha256: str, summary: str) -> Entry:
    url = f"https://download.pytorch.org/models/{file}"
    return Entry(
        name=name,
        kind="part",
        backbone="",
        repo_id=name,
        files=(file,),
        link=Link(url=url, size=size, sha256=sha256),
        sha256={file: sha256},
        variant="plain",
        gb=size / 1e9,
        licence=_BSD,
        terms=_BSD_TERMS,
        commercial="yes",
        summary=summary,
    )


def _lpips(trunk: str, file: str, sha256: str, summary: str) -> Entry:
    return Entry(
        name=f"lpips-{trunk.removesuffix('net').removesuffix('16')}",
        kind="part",
        backbone="",
        repo_id="lpips",
        files=(file,),
        needs=(trunk,),
        wheel=Wheel(
            project="lpips",
            version="0.1.4",
            file="lpips-0.1.4-py3-none-any.whl",
            size=53_763,
            sha256="fd537af5828b69d2e6ffc0a397bd506dbc28ca183543617690844c08e102ec5e",
            member=f"lpips/weights/v0.1/{file}",
            member_sha256=sha256,
        ),
        sha256={file: sha256},
        variant="plain",
        gb=0.0001,
        licence="BSD-2-Clause",
        terms=_MIT_TERMS,
        commercial="yes",
        summary=summary,
    )


_INCEPTION = "pt_inception-2015-12-05-6726825d.pth"
_INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_VIDEOMAE = "vit_g_hybrid_pt_1200e_ssv2_ft.pth"

FEATURES = (
    Entry(
        name="inception",
        kind="part",
        backbone="",
        repo_id="inception",
        files=(_INCEPTION,),
        link=Link(
            url=f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_INCEPTION}",
            size=95_628_359,
            sha256=_INCEPTION_SHA256,
        ),
        sha256={_INCEPTION: _INCEPTION_SHA256},
        variant="plain",
        gb=95_628_359 / 1e9,
        licence=_APACHE,
        terms=_APACHE_TERMS,
        commercial="yes",
        summary="FID's Inception, TensorFlow's of 2015 in pytorch-fid's layout: FID",
    ),
    Entry(
        name="inception-torchscript",
        kind="part",
        backbone="",
        repo_id="inception-torchscript",
        files=("inception-2015-12-05.pt",),
        link=Link(
            url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/"
            "inception-2015-12-05.pt"
        ),
        variant="plain",
        gb=0.096,
        licence=_UNSTATED,
        terms=_UNSTATED_TERMS,
        commercial="unclear",
        summary="the same network as StyleGAN's torchscript file: FID of StyleGAN-V",
    ),
    Entry(
        name="i3d-torchscript",
        kind="part",
        backbone="",
        repo_id="flateon/FVD-I3D-torchscript",
        files=("i3d_torchscript.pt",),
        revision="1c2d61711c52571ad617a1063e6fa691b212e184",
        sha256={
            "i3d_torchscript.pt": "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
        },
        gb=0.051,
        licence="MIT (as its repository states)",
        terms=_MIT_TERMS,
        commercial="yes",
        summary="I3D, TensorFlow's of FVD as StyleGAN-V's torchscript file: FVD",
    ),
    Entry(
        name="i3d",
        kind="part",
        backbone="",
        repo_id="i3d",
        files=("i3d_pretrained_400.pt",),
        link=Link(url="https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt"),
        variant="plain",
        gb=0.049,
        licence="MIT (as its repository states)",
        terms=_MIT_TERMS,
        commercial="yes",
        summary="I3D in PyTorch's names: FVD and KVD of Seer, TATS, content-debiased FVD's I3D",
    ),
    Entry(
        name="videomae",
        kind="part",
        backbone="",
        repo_id="OpenGVLab/VideoMAE2",
        folder="mae-g",
        files=(_VIDEOMAE,),
        revision="97d119d270aca7a1217fff7f413c0c543eb325d9",
        sha256={_VIDEOMAE: "5a210a92f035dff30c53b46157b612e7a1a5d3c99700e1b2d71da5c399ca7e70"},
        gb=2.02,
        licence="Apache-2.0 (as its repository is tagged)",
        terms="Its page says little; it was tuned on Something-Something, which is for research.",
        commercial="unclear",
        summary="VideoMAE V2 ViT-g, tuned on Something-Something: content-debiased FVD",
    ),
    Entry(
        name="c3d",
        kind="part",
        backbone="",
        repo_id="c3d",
        files=("c3d_ucf101.pt",),
        link=Link(url="https://www.dropbox.com/s/jxpu7avzdc9n97q/c3d_ucf101.pt?dl=1"),
        variant="plain",
        gb=0.3,
        licence=_UNSTATED,
        terms=_UNSTATED_TERMS,
        commercial="unclear",
        summary="C3D tuned on UCF-101, StyleGAN-V's torchscript file: inception score of clips",
    ),
    _torchvision(
        "alexnet",
        "alexnet-owt-7be5be79.pth",
        244_408_911,
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        "torchvision's AlexNet, the trunk of LPIPS",
    ),
    _torchvision(
        "vgg16",
        "vgg16-397923af.pth",
        553_433_881,
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "torchvision's VGG-16, the other trunk of LPIPS",
    ),
    _lpips(
        "alexnet",
        "alex.pth",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        "LPIPS's head for AlexNet: LPIPS, PPL, smoothness",
    ),
    _lpips(
        "vgg16",
        "vgg.pth",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        "LPIPS's head for VGG-16",
    ),
    Entry(
        name="clip",
        kind="part",
        backbone="",
        repo_id="openai/clip-vit-base-patch32",
        files=("config.json", "pytorch_model.bin"),
        gb=0.605,
        licence="MIT",
        terms=_MIT_TERMS,
        commercial="yes",
        summary="CLIP ViT-B/32: VBench's background consistency",
    ),
    Entry(
        name="dino",
        kind="part",
        backbone="",
        repo_id="facebook/dino-vitb16",
        files=("config.json", "pytorch_model.bin"),
        revision="f205d5d8e640a89a2b8ef0369670dfc37cc07fc2",
        sha256={
            "config.json": "b87c0270b97db085fd82cf114a761fd0f62ae7914fbd407c752a2260646b689c",
            "pytorch_model.bin": "a064e36c67289caaa5c949c0b3f7f31a0fcbcba5721f5fa12419933ec1f4fe6e",
        },
        gb=0.343,
        licence=_APACHE,
        terms=_APACHE_TERMS,
        commercial="yes",
        summary="DINO ViT-B/16: VBench's subject consistency, I2V subject",
    ),
    Entry(
        name="dinov2-base",
        kind="part",
        backbone="",
        repo_id="facebook/dinov2-base",
        files=("config.json", "preprocessor_config.json", "model.safetensors"),
        gb=0.35,
        licence=_APACHE,
        terms=_APACHE_TERMS,
        commercial="yes",
        summary="picture features, for training and measuring",
    ),
)
