"""Reading published weights into the networks: tensors and nothing else, or torchscript.

Torchscript is a program: torch.jit.load runs it in torch's interpreter, which reaches no files and
no network, and still it is code of whoever made the file. So it is read only from a path the user
gives, or if its sha256 is the one the catalogue pins.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vtg_cli.errors import WeightsError, missing
from vtg_cli.evaluation import preprocess
from vtg_cli.evaluation.networks import vits
from vtg_cli.evaluation.networks.i3d import I3d
from vtg_cli.evaluation.networks.inception import FidInception
from vtg_cli.evaluation.networks.trunks import Trunk, alexnet, vgg16

WRAPPERS = ("module", "model", "state_dict")
"""Keys under which training scripts put the tensors, in the order they are looked for."""
SHOWN = 3  # names in a message


def tensors(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors, or a pickle of tensors and nothing else, on the CPU.

    Raises WeightsError if the file is missing, damaged or asks to be more.
    """
    if not path.is_file():
        raise WeightsError(missing(path), subject=str(path))
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes the readers raise whatever they raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{path} cannot be read as weights: {reason}",
            "fetch it again from where it was published",
            subject=str(path),
        ) from None
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not any(isinstance(v, Tensor) for v in content.values()):
        raise WeightsError(f"{path} holds no tensors by name", subject=str(path))
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def fitted(
    network: nn.Module, published: Mapping[str, Tensor], path: Path, unused: tuple[str, ...] = ()
) -> nn.Module:
    """Fill a network, in float32 and ready to evaluate. unused: beginnings of names to pass over.

    Raises WeightsError if a tensor is missing, has another shape or belongs to another network.
    """
    own = network.state_dict()
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # old files lack them
    odd = [f"it lacks {name}" for name in own if name not in published and name not in counters]
    odd += [
        f"{name} has the shape {tuple(published[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in published and published[name].shape != tensor.shape
    ]
    foreign = [name for name in published if name not in own and not name.startswith(unused)]
    odd += [f"{name} does not belong to it" for name in foreign]
    if odd:
        more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
        raise WeightsError(
            f"{path} holds another network than {type(network).__name__}: "
            f"{'; '.join(odd[:SHOWN])}{more}",
            "give the file its authors published",
            subject=str(path),
        )
    known = {name: published[name].float() for name in own if name in published}
    network.load_state_dict(known, strict=False, assign=True)
    return network.eval().requires_grad_(False)


def inception(path: Path) -> nn.Module:
    """Load FID's Inception from pt_inception-2015-12-05-6726825d.pth."""
    return fitted(FidInception(), tensors(path), path)


def i3d(path: Path) -> nn.Module:
    """Load I3D from i3d_pretrained_400.pt."""
    return fitted(I3d(), tensors(path), path)


def videomae(path: Path) -> nn.Module:
    """Load VideoMAE V2's ViT-g from vit_g_hybrid_pt_1200e_ssv2_ft.pth."""
    with torch.device("meta"):
        network = vits.VideoMae()
    positions = network.vit.embeddings
    filled = fitted(network, vits.of_videomae_v2(tensors(path)), path)
    positions.position_embeddings = vits.sinusoids(*positions.position_embeddings.shape[1:])
    return filled


def trunk(name: str, path: Path) -> Trunk:
    """Load a trunk of LPIPS, "alexnet" or "vgg16", from torchvision's file."""
    network = {"alexnet": alexnet, "vgg16": vgg16}[name]()
    fitted(network, tensors(path), path, unused=("classifier.",))
    return network


def lpips_head(path: Path, widths: tuple[int, ...]) -> list[Tensor]:
    """Read the five weights [C] of LPIPS 0.1 from alex.pth or vgg.pth. Raise WeightsError."""
    published = tensors(path)
    names = [f"lin{i}.model.1.weight" for i in range(len(widths))]
    if [published[n].numel() if n in published else None for n in names] != [*widths]:
        raise WeightsError(
            f"{path} is no head of LPIPS 0.1 for this trunk",
            "it is lpips/weights/v0.1/alex.pth or vgg.pth of the package lpips 0.1.4",
            subject=str(path),
        )
    return [published[name].float().flatten() for name in names]


def scripted(path: Path) -> Any:
    """Load a torchscript file on the CPU. Raise WeightsError.

    The caller answers for where it comes from: see the top of this file.
    """
    if not path.is_file():
        raise WeightsError(missing(path), subject=str(path))
    try:
        with warnings.catch_warnings():
            for kind in (DeprecationWarning, FutureWarning):  # torch 2.13's and 2.14's
                warnings.simplefilter("ignore", kind)
            return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"{path} is no torchscript file: {reason}",
            "give the file its authors published",
            subject=str(path),
        ) from None


def picture(name: str, folder: Path) -> nn.Module:
    """Load "clip", "dino" or "dinov2" from a folder in transformers' layout. Raise WeightsError."""
    if not (folder / "config.json").is_file():
        what = "is no folder" if not folder.is_dir() else "has no config.json"
        raise WeightsError(
            f"{folder} {what}; {name} is read from a folder in transformers' layout",
            "config.json beside model.safetensors or pytorch_model.bin",
            subject=str(folder),
        )
    with _quiet():
        try:
            network = {"clip": vits.clip, "dino": vits.dino, "dinov2": vits.dinov2}[name](folder)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise WeightsError(
                f"{folder} cannot be read as {name}: {reason}", subject=str(folder)
            ) from None
    return network.eval().requires_grad_(False)


Published = tuple[Callable[[Path], Any], Callable[[preprocess.Batch], Tensor], Mapping[str, Any]]
_LOGITS = {"resize": True, "return_features": True}

PUBLISHED: Mapping[str, Published] = {
    "inception": (inception, preprocess.fid, {}),
    "inception-torchscript": (scripted, preprocess.channels_first, {"return_features": True}),
    "i3d-torchscript": (scripted, preprocess.channels_first, {"rescale": True, **_LOGITS}),
    "i3d-torchscript-vidm": (scripted, preprocess.unit_range, {"rescale": False, **_LOGITS}),
    "i3d": (i3d, preprocess.debiased_i3d, {}),
    "i3d-seer": (i3d, preprocess.seer_i3d, {}),
    "videomae": (videomae, preprocess.debiased_videomae, {}),
    "c3d": (scripted, preprocess.channels_first, {}),
    "c3d-vidm": (scripted, preprocess.unit_range, {}),
    "clip": (partial(picture, "clip"), preprocess.vbench_clip, {}),
    "dino": (partial(picture, "dino"), preprocess.vbench_dino, {}),
    "dino-i2v": (partial(picture, "dino"), preprocess.vbench_dino_i2v, {}),
    "dinov2": (partial(picture, "dinov2"), preprocess.vbench_dino_i2v, {}),
}
"""How each network of evaluation.features is loaded, how pictures reach it, with which options."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' loading bars and advice off stderr."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
