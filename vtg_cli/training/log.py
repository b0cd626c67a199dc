"""The log of a training run: a line of JSON for each step, TensorBoard, a picture of the loss."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vtg_cli.errors import UsageError
from vtg_cli.ground import documents, temporary

LOG = "log.jsonl"
CURVE = "loss.png"
POINTS = 200
"""Most points of a curve; each is the mean of the steps around it."""


class Log:
    """The log of a run, kept in its folder.

    tensorboard: also write the numbers for TensorBoard, into the folder's `tensorboard`
    """

    def __init__(self, folder: Path, tensorboard: bool = False) -> None:
        self._file = folder / LOG
        self._board: Any = _board(folder / "tensorboard") if tensorboard else None

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add a step's numbers by name."""
        line = json.dumps({"step": step, **{name: _short(v) for name, v in numbers.items()}})
        with self._file.open("a") as out:
            out.write(line + "\n")
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)

    def forget_after(self, step: int) -> None:
        """Remove the lines of later steps, and one that a kill has torn."""
        kept = [row for row in rows(self._file.parent) if row["step"] <= step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        temporary.write(self._file, text.encode())

    def close(self) -> None:
        """Write out what is still on its way."""
        if self._board is not None:
            self._board.close()


def rows(folder: Path) -> list[dict[str, Any]]:
    """Read the log of the run in a folder; a line that is not whole is passed over."""
    file, read = folder / LOG, list[dict[str, Any]]()
    for line in file.read_text().split("\n")[:-1] if file.exists() else []:
        try:
            row = documents.json_object(line)
            read.append(row | {"step": int(row["step"])})
        except (ValueError, KeyError, TypeError):
            continue
    return read


def draw_curve(runs: Mapping[str, Path], picture: Path) -> bool:
    """Draw the loss of runs, name -> folder, side by side as a PNG. Return False without
    matplotlib (the extra `train`), or where there is nothing to draw.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    curves = {name: losses for name, folder in runs.items() if len(losses := _losses(folder))}
    if not curves:
        return False
    figure = Figure(figsize=(5 * len(curves) + 2, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes_of: Any = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (name, losses) in zip(axes_of, curves.items(), strict=True):
        axes.plot(losses[:, 0], losses[:, 1], color="0.8", linewidth=0.7, label="each step")
        size = max(1, -(-len(losses) // POINTS), min(50, len(losses) // 10))
        whole = len(losses) // size * size
        means = losses[:whole].reshape(-1, size, 2).mean(1)
        axes.plot(means[:, 0], means[:, 1], label=f"mean of {size}")
        axes.set(title=name, xlabel="step", ylabel="loss")
        axes.set_ylim(*_limits(losses[:, 1]))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    draft = temporary.Draft(picture)
    try:
        figure.savefig(draft.path, dpi=100, format="png")
        draft.publish(overwrite=True)
    finally:
        draft.close()
    return True


def _losses(folder: Path) -> np.ndarray[Any, Any]:
    """Return steps and losses [n, 2], without those that are no numbers."""
    pairs = [(row["step"], row["loss"]) for row in rows(folder) if row.get("loss") is not None]
    return np.array(pairs, float).reshape(-1, 2)


def _limits(losses: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return what the axis shows: all but the highest hundredth, which would flatten the rest."""
    low, high = float(losses.min()), float(np.quantile(losses, 0.99))
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _short(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard needs the package tensorboard",
            "pip install 'vtg-cli[train]'",
            subject="--tensorboard",
        ) from None
    writer: Any = SummaryWriter
    return writer(str(folder))
