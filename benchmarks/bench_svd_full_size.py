"""Stable Video Diffusion XT at its real size with random weights: does it load and step on this
machine?

    python benchmarks/bench_svd_full_size.py [--folder DIR] [--size 128x128] [--frames 4] [--steps
    1]

Builds the real configuration (1.52 billion parameters in the U-Net, CLIP ViT-H, the temporal
autoencoder) with random bf16 weights in a folder of diffusers layout, then loads it through the
package in a process of its own, makes keyframes in-betweens with Generative Inbetweening, and
reports times and the peak resident size. The last line is one JSON object. The frames mean nothing:
nothing here is trained.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measure import peak_mebibytes


def build(folder: Path) -> None:
    from diffusers import AutoencoderKLTemporalDecoder, UNetSpatioTemporalConditionModel
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    UNetSpatioTemporalConditionModel(
        sample_size=96, num_frames=25, num_attention_heads=(5, 10, 20, 20)
    ).save_pretrained(folder / "unet")
    AutoencoderKLTemporalDecoder(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=768,
    ).save_pretrained(folder / "vae")
    config = CLIPVisionConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        patch_size=14,
        projection_dim=1024,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    index = {"_class_name": "StableVideoDiffusionPipeline"}
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "scheduler").mkdir()
    scheduler = {"prediction_type": "v_prediction", "sigma_min": 0.002, "sigma_max": 700.0}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))


def child(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from vtg_cli.backbones import base
    from vtg_cli.conditioning.keyframes import Keyframes
    from vtg_cli.job.sampling import Sampling
    from vtg_cli.methods import papers

    height, width = map(int, args.size.split("x"))
    imports = peak_mebibytes()
    begin = time.perf_counter()
    m = base.load(args.folder, device="cpu", dtype="bf16")
    loaded, loaded_peak = time.perf_counter(), peak_mebibytes()
    m.spec = replace(m.spec, frames=args.frames)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
    keys = Keyframes.ends(pictures[0], pictures[1], args.frames)
    marks: list[tuple[float, str]] = []
    frames = papers.render(
        m,
        keys,
        Sampling(method="gi", steps=args.steps, renoise=0),
        progress=lambda share, phase: marks.append((time.perf_counter(), phase)),
    )
    sampling = [t for t, phase in marks if phase == "sampling"]
    print(
        json.dumps(
            {
                "benchmark": "svd_full_size",
                "dtype": "bf16",
                "parameters": sum(p.numel() for p in m.network.parameters()),
                "size": args.size,
                "frames": len(frames),
                "steps": args.steps,
                "load_seconds": round(loaded - begin, 1),
                "step_seconds": round((sampling[-1] - sampling[0]) / args.steps, 1),
                "decode_seconds": round(marks[-1][0] - sampling[-1], 1),
                "imports_mebibytes": imports,
                "loaded_mebibytes": loaded_peak,
                "peak_mebibytes": peak_mebibytes(),
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="built here and kept; default: a temporary one")
    parser.add_argument("--size", default="128x128", help="height x width in pixels")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args)
    with tempfile.TemporaryDirectory() as temporary:
        args.folder = args.folder or Path(temporary) / "svd-xt-random"
        if not args.folder.exists():
            build(args.folder)
        command = [sys.executable, __file__, "--child"]
        for name in ("folder", "size", "frames", "steps"):
            command += [f"--{name}", str(getattr(args, name))]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    card = json.loads(out.splitlines()[-1])
    for name, value in card.items():
        print(f"{name:<20}{value}")
    print(json.dumps(card))


if __name__ == "__main__":
    main()
