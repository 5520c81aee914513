"""Pictures of curvature: the error of difference quotients, a spectrum, the edge of stability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigrad.curvature.sharpness import DescentRecord
from minigrad.curvature.spectrum import SpectralDensity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#1f6fb2", "#d96b13", "#8a8f98", "#1f2328"
SHADES = ("#08519c", "#4292c6", "#d96b13", "#6b2a05")


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure that belongs to no window, with its axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(colors=INK)
    return figure, axes


def difference_error(
    steps: NDArray[Any], curves: Mapping[str, NDArray[Any]], path: str | Path, *, precision: float
) -> None:
    """Draw the error of Hessian-vector products by differences against the step, and save the picture.

    Args:
        steps: (m,) values of eps.
        curves: label to relative errors (m,); the smallest error of each is written at its curve.
        path: where to.
        precision: machine epsilon of the gradients.
    """
    figure, (axes,) = new_figure(8, 5)
    for (label, errors), colour in zip(curves.items(), (BLUE, ORANGE, GREY), strict=False):
        axes.loglog(steps, errors, color=colour, lw=2, marker="o", ms=3, label=label)
        best = int(np.argmin(errors))
        above = label.startswith("forward")  # the other's label lies below its own curve
        axes.annotate(
            f"best {errors[best]:.0e}\nat eps {steps[best]:.0e}", (steps[best], errors[best]),
            xytext=(0, 34 if above else -8), textcoords="offset points", ha="center",
            va="bottom" if above else "top", color=colour, fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    lowest = min(float(errors.min()) for errors in curves.values())
    axes.set_ylim(lowest / 30, 30)
    axes.text(0.03, 0.5, "rounding:\nerror ~ 1 / eps", transform=axes.transAxes, color=INK, fontsize=10)
    axes.text(0.86, 0.3, "truncation:\nerror ~ eps,\nor eps²", transform=axes.transAxes, color=INK, fontsize=10)
    root = float(np.sqrt(precision))
    axes.axvline(root, color=GREY, lw=1, ls=(0, (4, 3)))
    axes.annotate(
        "root of the machine epsilon", (root, 12), xytext=(5, 0), textcoords="offset points", color=GREY, fontsize=9
    )
    axes.set(
        xlabel="step eps along a unit vector", ylabel="relative error of H v",
        title="Hessian-vector product from differences of gradients, against the exact one",
    )  # fmt: skip
    axes.legend(loc="lower left", framealpha=1.0, edgecolor="none")
    figure.savefig(path, dpi=150)


def convergence_and_spectrum(
    errors: Mapping[str, Sequence[float]], density: SpectralDensity, eigenvalues: NDArray[Any], path: str | Path
) -> None:
    """Draw how fast the top eigenvalue is found, and the estimated density over the true eigenvalues.

    Args:
        errors: method to its relative error after 1, 2, 3, ... products.
        density: the estimate.
        eigenvalues: (n,) the true ones.
        path: where to.
    """
    figure, (left, right) = new_figure(12, 4.8, 2)
    for (label, values), colour in zip(errors.items(), (ORANGE, BLUE), strict=True):
        left.semilogy(range(1, len(values) + 1), np.maximum(values, 1e-17), color=colour, lw=2, label=label)
    left.axhline(1e-8, color=GREY, lw=1, ls=(0, (4, 3)))
    left.annotate("1e-8", (1, 1e-8), xytext=(0, 3), textcoords="offset points", color=GREY, fontsize=9)
    left.set(
        xlabel="products with the matrix", ylabel="relative error of the top eigenvalue",
        title="The same products, used better",
    )  # fmt: skip
    left.legend(frameon=False)
    right.hist(
        eigenvalues, bins=80, range=(density.grid[0], density.grid[-1]), density=True, color="#c6dbef",
        label=f"the {len(eigenvalues)} true eigenvalues",
    )  # fmt: skip
    right.plot(density.grid, density.density, color=BLUE, lw=2, label="Lanczos quadrature")
    right.set_yscale("log")
    right.set_ylim(bottom=0.2 / len(eigenvalues) / density.width / 5)
    right.set(xlabel="eigenvalue", ylabel="density (log scale)", title="Spectral density without the spectrum")
    right.legend(frameon=False)
    figure.savefig(path, dpi=150)


def net_spectrum(densities: Mapping[str, SpectralDensity], path: str | Path) -> None:
    """Draw spectral densities of one net at several times, one below the other.

    Args:
        densities: label to density.
        path: where to.
    """
    figure, axes = new_figure(6 * len(densities), 4.2, len(densities))
    for each, (label, found), colour in zip(axes, densities.items(), SHADES, strict=False):
        each.semilogy(found.grid, found.density, color=colour, lw=2)
        each.fill_between(found.grid, found.density, 1e-9, color=colour, alpha=0.15, lw=0)
        each.set_ylim(1e-5 * float(found.density.max()), 3 * float(found.density.max()))
        top = float(found.nodes.max())
        height = float(np.interp(top, found.grid, found.density))
        each.annotate(
            f"top {top:.1f}", (top, height), xytext=(0, 8), textcoords="offset points", ha="center", color=INK
        )
        each.set(xlabel="eigenvalue of the Hessian", ylabel="density (log scale)", title=label)
    figure.savefig(path, dpi=150)


def edge_of_stability(runs: Mapping[float, Sequence[DescentRecord]], path: str | Path) -> None:
    """Draw loss and sharpness of gradient descent at several learning rates, and save the picture.

    Args:
        runs: learning rate to its records.
        path: where to.
    """
    figure, (left, right) = new_figure(12, 4.8, 2)
    for (lr, records), colour in zip(runs.items(), SHADES, strict=False):
        steps = [record.step for record in records]
        left.plot(steps, [record.sharpness for record in records], color=colour, lw=1.8, label=f"lr = {lr:g}")
        left.axhline(2.0 / lr, color=colour, lw=1, ls=(0, (4, 3)))
        left.annotate(
            f"2 / lr = {2.0 / lr:g}", (steps[-1], 2.0 / lr), xytext=(0, 4), textcoords="offset points", ha="right",
            color=colour, fontsize=9,
        )  # fmt: skip
        right.semilogy(steps, [record.loss for record in records], color=colour, lw=1.5, label=f"lr = {lr:g}")
    left.set(
        xlabel="step of gradient descent", ylabel="sharpness: top eigenvalue of the Hessian",
        title="Sharpness rises to 2 / lr and stays there",
    )  # fmt: skip
    left.set_ylim(bottom=0.0, top=2.15 / min(runs))
    right.set(xlabel="step of gradient descent", ylabel="training loss", title="and the loss goes on falling")
    right.legend(frameon=False)
    figure.savefig(path, dpi=150)
