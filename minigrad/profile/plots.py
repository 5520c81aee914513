"""Pictures of a profile: the roofline, throughput and memory against batch size, activation functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.profile.activations import ActivationTime
from minigrad.profile.batch_size import BatchSizeRow, linear_cost
from minigrad.profile.machine import Machine
from minigrad.profile.recorder import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORWARD, BACKWARD, GREY, INK = "#1f6fb2", "#d96b13", "#8a8f98", "#1f2328"
MOST_POINTS = 12  # operations drawn; the rest share a few parts in a hundred of the time
SMALLEST = 0.001  # share of the time below which an operation is left out


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure that belongs to no window, with its axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(colors=INK)
    return figure, axes


def roofline(rows: Sequence[Row], machine: Machine, path: str | Path, *, title: str) -> None:
    """Draw operations under the machine's roof: FLOP/s against FLOPs per byte, the area of a point its time.

    Args:
        rows: from `profile.by_op()`, the longest first; those without FLOPs or traffic have no place here.
        machine: its limits.
        path: where to.
        title: above the picture.
    """
    total = sum(row.seconds for row in rows)
    drawn = [row for row in rows if row.flops and row.bytes and row.seconds > SMALLEST * total][:MOST_POINTS]
    figure, (axes,) = new_figure(11, 6)
    low = min([0.05, *(row.intensity / 2 for row in drawn)])
    high = max([8 * machine.ridge, *(2 * row.intensity for row in drawn)])
    _draw_roof(axes, machine, low, high)
    for number, row in enumerate(drawn, 1):
        colour = BACKWARD if row.name.endswith("backward") else FORWARD
        area = 150 + 4000 * row.seconds / total
        axes.scatter(
            row.intensity, row.flops_per_second, s=area, color=colour, alpha=0.55, edgecolors="white", zorder=3
        )
        axes.text(
            row.intensity, row.flops_per_second, str(number), ha="center", va="center", fontsize=9, color=INK, zorder=4
        )
    axes.set_xlim(low, high)
    axes.set_ylim(min([machine.flops / 1e4, *(row.flops_per_second / 3 for row in drawn)]), 3 * machine.flops)
    axes.set(
        xscale="log", yscale="log", xlabel="arithmetic intensity, FLOP per byte", ylabel="FLOP/s", title=title
    )
    _list_operations(axes, drawn, total)
    figure.savefig(path, dpi=150)


def _draw_roof(axes: Axes, machine: Machine, low: float, high: float) -> None:
    x = np.array([low, machine.ridge, high])
    axes.plot(x, [machine.attainable(float(value)) for value in x], color=INK, lw=2)
    axes.axvline(machine.ridge, color=GREY, lw=1, ls=(0, (4, 3)))
    axes.annotate(
        f"matrix product {machine.flops / 1e9:.0f} GFLOP/s", (machine.ridge, machine.flops), xytext=(6, 6),
        textcoords="offset points", color=INK, fontsize=9,
    )  # fmt: skip
    middle = float(np.sqrt(low * machine.ridge))
    axes.annotate(
        f"copy {machine.bandwidth / 1e9:.0f} GB/s", (middle, machine.attainable(middle)), xytext=(-6, 8),
        textcoords="offset points", ha="right", color=INK, fontsize=9,
    )  # fmt: skip
    axes.annotate(
        f"ridge: {machine.ridge:.1f} FLOP per byte\n← data movement | compute →", (machine.ridge, 0.02),
        xycoords=("data", "axes fraction"), ha="center", color=INK, fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _list_operations(axes: Axes, drawn: Sequence[Row], total: float) -> None:
    """The names beside the picture: written at the points they would cover each other."""
    axes.text(1.03, 1.0, "share of the operations' time", transform=axes.transAxes, va="top", fontsize=9, color=GREY)
    for number, row in enumerate(drawn, 1):
        colour = BACKWARD if row.name.endswith("backward") else FORWARD
        look: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "fontsize": 10, "color": colour}
        height = 1.0 - 0.055 * number
        axes.text(1.06, height, str(number), ha="right", **look)
        axes.text(1.075, height, f"{row.name}  {row.seconds / total:.1%}", **look)


def batch_size(rows: Sequence[BatchSizeRow], path: str | Path, *, title: str, unit: str = "examples") -> None:
    """Draw throughput and memory against the batch size, with the lines that explain them.

    Args:
        rows: at least two batch sizes.
        path: where to.
        title: above the picture.
        unit: what a batch counts.
    """
    sizes = [row.batch_size for row in rows]
    fixed, each = linear_cost(sizes, [row.seconds for row in rows])
    base, growth = linear_cost(sizes, [row.memory for row in rows])
    smooth = np.geomspace(min(sizes), max(sizes), 200)
    figure, (left, right) = new_figure(12, 4.8, 2)
    left.plot(smooth, smooth / (fixed + each * smooth), color=GREY, lw=1.5, label="batch / (fixed + batch × each)")
    left.plot(sizes, [row.throughput for row in rows], "o", color=FORWARD, ms=7, label="measured, best of several")
    if each > 0:
        left.axhline(1.0 / each, color=GREY, lw=1, ls=(0, (4, 3)), label="1 / each, the limit")
    left.set_ylim(0.0, 1.45 * max(1.0 / each if each > 0 else 0.0, *(row.throughput for row in rows)))
    left.text(
        0.97, 0.06, f"fixed: {fixed * 1e3:.2g} ms a step\neach: {each * 1e3:.2g} ms", transform=left.transAxes,
        ha="right", color=INK, fontsize=10,
    )  # fmt: skip
    left.set(xlabel="batch size", ylabel=f"{unit} per second", title="Throughput", xscale="log")
    left.set_xticks(sizes, [str(size) for size in sizes])
    left.minorticks_off()
    left.legend(frameon=False, loc="upper left")
    straight = np.array([0.0, max(sizes)])
    right.plot(straight, (base + growth * straight) / 1e6, color=GREY, lw=1.5, label="fixed + batch × each")
    right.plot(sizes, [row.memory / 1e6 for row in rows], "o", color=BACKWARD, ms=7, label="measured peak")
    right.text(
        0.97, 0.06, f"fixed: {base / 1e6:.2g} MB\neach: {growth / 1e6:.2g} MB", transform=right.transAxes, ha="right",
        color=INK, fontsize=10,
    )  # fmt: skip
    right.set(xlabel="batch size", ylabel="MB allocated at once in a step", title="Memory")
    right.set_ylim(bottom=0.0)
    right.legend(frameon=False, loc="upper left")
    figure.suptitle(title)
    figure.savefig(path, dpi=150)


def activations(rows: Sequence[ActivationTime], path: str | Path, *, machine: Machine | None = None) -> None:
    """Draw how long each activation function takes, forward and backward.

    Args:
        rows: from `activation_times`.
        path: where to.
        machine: draws the time of merely copying a float32 in main memory. The arrays here are small enough for
            the cache, so a simple function can be faster.
    """
    figure, (axes,) = new_figure(9, 4.5)
    rows = sorted(rows, key=lambda row: -(row.forward + row.backward))
    places = np.arange(len(rows))
    axes.barh(places + 0.2, [row.forward * 1e9 for row in rows], 0.38, color=FORWARD, label="forward")
    axes.barh(places - 0.2, [row.backward * 1e9 for row in rows], 0.38, color=BACKWARD, label="backward")
    for place, row in zip(places, rows, strict=True):
        for offset, seconds in ((0.2, row.forward), (-0.2, row.backward)):
            axes.annotate(
                f"{seconds * 1e9:.2g}", (seconds * 1e9, place + offset), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=9, color=INK,
            )  # fmt: skip
    if machine is not None:
        copy = 8.0 / machine.bandwidth * 1e9
        axes.axvline(copy, color=GREY, lw=1, ls=(0, (4, 3)), label=f"a copy in main memory, {copy:.2g}")
    axes.set_yticks(places, [row.name for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="nanoseconds per float32 element", title="Activation functions, forward and backward")
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=150)
