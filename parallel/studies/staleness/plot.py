"""The picture of stability against staleness: a map, the boundary drawn over it, three runs beside it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from parallel.studies.staleness.boundary import Boundary
from parallel.studies.staleness.map import StabilityMap
from parallel.studies.staleness.recursion import simulate_quadratic
from parallel.studies.staleness.theory import critical_step, fastest_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

# Blue for a weight that shrank, orange for one that grew, from dark through pale to dark: told apart by any
# eye, with or without full colour vision, and still ordered when printed grey.
COLOURS = ("#08305c", "#2f7fbf", "#a9cfe8", "#f6f4ef", "#f7c08a", "#dd6f1a", "#6b2a05")
INK = "#1f2328"

# Growth beyond a factor of 10^6 either way is drawn as 10^6: it is only more of the same.
DECADES = 6

# Updates in each run of the map: enough to tell growth from decay, few enough to leave some colour between.
ITERATIONS = 300


def step_grid(max_tau: int) -> NDArray[np.float64]:
    """Return 240 steps, evenly spaced in their logarithm, that hold both curves for delays up to `max_tau`."""
    lowest = min(0.1, 0.85 * float(fastest_step(max_tau)))
    return np.geomspace(lowest, 3.0, 240)


def draw(growth: StabilityMap, measured: Boundary) -> "Figure":
    """Draw the map of growth with the predicted and the measured boundary, and three runs at one delay.

    Args:
        growth: from `sweep`, its steps evenly spaced in their logarithm, as `step_grid` gives them.
        measured: from `stability_boundary`, for the same delays.

    Returns:
        A matplotlib Figure that belongs to no window; `figure.savefig(path)` writes it.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.06)
    figure = Figure(figsize=(12, 6.6), layout=margins, facecolor="white")
    grid = figure.add_gridspec(3, 2, width_ratios=(1.9, 1))
    tau = min(8, int(growth.tau[-1]))
    runs = {
        "A": (float(fastest_step(tau)), "fastest"),
        "B": (0.8 * float(critical_step(tau)), "0.8 of critical"),
        "C": (1.25 * float(critical_step(tau)), "1.25 times critical"),
    }
    axes = figure.add_subplot(grid[:, 0])
    cells = _draw_map(axes, growth)
    _draw_boundary(axes, measured)
    _name_regions(axes, growth)
    bar = figure.colorbar(cells, ax=axes, location="bottom", extend="both", aspect=45, pad=0.02)
    bar.set_ticks(list(range(-DECADES, DECADES + 1, 2)))
    bar.set_ticklabels([f"$10^{{{decade}}}$" if decade else "1" for decade in range(-DECADES, DECADES + 1, 2)])
    bar.set_label(f"size of the weight after {growth.iterations} updates, relative to its start", color=INK)
    for row, (name, (step, words)) in enumerate(runs.items()):
        _mark(axes, tau, step, name)
        _draw_run(figure.add_subplot(grid[row, 1]), tau, step, name, words, last=row == 2)
    _draw_lesson(figure, tau)
    return figure


def _draw_map(axes: "Axes", growth: StabilityMap) -> "QuadMesh":
    """Colour each cell (tau, step) by log10 of growth."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.ticker import MaxNLocator

    half = np.sqrt(growth.step[1] / growth.step[0])  # cells end halfway to their neighbours
    cells = axes.pcolormesh(
        np.append(growth.tau, growth.tau[-1] + 1) - 0.5,
        np.append(growth.step / half, growth.step[-1] * half),
        growth.log10_growth.T,
        cmap=LinearSegmentedColormap.from_list("shrank-grew", COLOURS),
        vmin=-DECADES,
        vmax=DECADES,
        rasterized=True,
    )
    axes.set_yscale("log")
    axes.set_ylim(growth.step[0], growth.step[-1])
    ticks = [step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if growth.step[0] <= step <= growth.step[-1]]
    axes.set_yticks(ticks, [str(step) for step in ticks])
    axes.minorticks_off()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel(r"staleness $\tau$: updates between reading the weight and using its gradient", color=INK)
    axes.set_ylabel(r"step $\eta a$: learning rate times curvature", color=INK)
    axes.set_title("How stale may a gradient be?", loc="left", fontsize=15, fontweight="bold", color=INK)
    return cells


def _draw_boundary(axes: "Axes", measured: Boundary) -> None:
    """Draw the predicted boundary as a line, and on it what was measured."""
    from matplotlib.patheffects import withStroke

    axes.plot(
        measured.tau,
        measured.theory,
        color=INK,
        linewidth=2,
        label=r"critical step in theory: $2\,\sin\,\frac{\pi}{4\tau+2}$",
    )
    every = 1 + len(measured.tau) // 48  # neighbouring marks must not touch
    axes.plot(
        measured.tau,
        measured.by_running,
        markevery=every,
        linestyle="none",
        marker="o",
        markersize=6.5,
        markerfacecolor="white",
        markeredgecolor=INK,
        label="measured by running the recursion",
    )
    axes.plot(
        measured.tau,
        measured.by_radius,
        markevery=every,
        linestyle="none",
        marker=".",
        markersize=4,
        color=INK,
        label="measured from the spectral radius",
    )
    axes.plot(
        measured.tau,
        fastest_step(measured.tau),
        color="white",
        linewidth=1.8,
        linestyle=(0, (4, 2)),
        path_effects=[withStroke(linewidth=3.4, foreground=COLOURS[0])],  # legible on pale and dark alike
        label=r"fastest step: $\tau^\tau/(\tau+1)^{\tau+1}$",
    )
    axes.legend(loc="upper right", framealpha=0.96, facecolor=COLOURS[3], edgecolor="none", fontsize=9.5)


def _name_regions(axes: "Axes", growth: StabilityMap) -> None:
    """Say in the map itself what happens where, if it is wide enough for words."""
    from matplotlib.patheffects import withStroke

    if growth.tau[-1] < 16:
        return
    tau = int(growth.tau[-1]) * 3 // 4
    critical, fastest = float(critical_step(tau)), float(fastest_step(tau))
    for step, words, colour in (
        (5 * critical, "grows without end", "white"),
        (critical**0.7 * fastest**0.3, "overshoots, then settles", INK),
        (1.15 * growth.step[0], "creeps to zero", INK),
    ):
        text = axes.text(tau, step, words, color=colour, fontsize=11.5, ha="center", va="center")
        if colour == "white":
            text.set_path_effects([withStroke(linewidth=3, foreground=COLOURS[-1])])


def _mark(axes: "Axes", tau: int, step: float, name: str) -> None:
    """Mark in the map one of the runs drawn beside it."""
    axes.text(
        tau,
        step,
        name,
        ha="center",
        va="center",
        fontsize=9,
        fontweight="bold",
        color=INK,
        bbox={"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": INK},
        zorder=6,
    )


def _draw_run(axes: "Axes", tau: int, step: float, name: str, words: str, *, last: bool) -> None:
    """Draw the weight against updates for one (tau, step)."""
    w = simulate_quadratic(tau, step, 4 * (4 * tau + 2))
    growing = step > critical_step(tau)
    axes.axhline(0, color="#b8bcc2", linewidth=0.8)
    axes.plot(w, color=COLOURS[5] if growing else COLOURS[1], linewidth=1.8)
    axes.set_title(rf"$\bf{{{name}}}$   $\tau$ = {tau}, step {step:.3f}, {words}", loc="left", fontsize=10, color=INK)
    axes.set_ylabel("weight w", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, len(w) - 1)
    if last:
        axes.set_xlabel("update t", color=INK)
    else:
        axes.tick_params(labelbottom=False)


def _draw_lesson(figure: "Figure", tau: int) -> None:
    """Say below the runs what a delay costs in workers."""
    share = float(critical_step(tau) / critical_step(0))
    figure.text(
        0.69,
        0.02,
        r"Workers that take turns make $\tau$ = workers $-$ 1."
        f"\nWith {tau + 1} of them the largest stable step"
        f"\nis {share:.2f} of the largest for one worker.",
        color=INK,
        fontsize=10,
        linespacing=1.5,
    ).set_in_layout(False)
