"""Completion of option values in the shell, by the names that declarations give (Opt.complete)."""

from __future__ import annotations

from collections.abc import Iterator


def model_names(incomplete: str) -> Iterator[tuple[str, str]]:
    """Complete --model: the names the catalogue knows, each with its summary."""
    from vtg_cli.weights.catalog import CATALOG

    summaries = {
        "auto": "the best model this machine has",
        "tiny": "embedded diffusion model",
        "tiny+rife": "embedded diffusion model, guided by learned motion too",
        "flow": "draft engine: motion alone, the fastest",
    }
    summaries |= {
        name: entry.summary for name, entry in CATALOG.items() if entry.kind in ("model", "engine")
    }
    return ((name, what) for name, what in summaries.items() if name.startswith(incomplete))


def reverse_names(incomplete: str) -> Iterator[tuple[str, str]]:
    """Complete --reverse: the reverse-motion weights the catalogue knows."""
    from vtg_cli.weights.catalog import CATALOG

    entries = (entry for entry in CATALOG.values() if entry.kind == "reverse")
    return ((entry.name, entry.summary) for entry in entries if entry.name.startswith(incomplete))


def curve_names(incomplete: str) -> list[str]:
    """Complete --ease."""
    from vtg_cli.job.easing import CURVES

    return [name for name in CURVES if name.startswith(incomplete)]


def text_curve_names(incomplete: str) -> list[str]:
    """Complete --text-curve."""
    return [name for name in ("hold", *curve_names("")) if name.startswith(incomplete)]


def fusion_names(incomplete: str) -> list[str]:
    """Complete --fusion."""
    return [name for name in ("mean", "linear") if name.startswith(incomplete)]


def lora_names(incomplete: str) -> list[str]:
    """Complete --lora; a folder is completed by the shell."""
    return [name for name in ("off", "fit") if name.startswith(incomplete)]
