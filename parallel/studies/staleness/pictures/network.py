"""Picture: critical learning rates of real models, predicted from the Hessian and found by trial."""

from typing import TYPE_CHECKING, Any

import numpy as np

from parallel.studies.staleness.network import MODELS, Measured
from parallel.studies.staleness.network import measure as measure_model
from parallel.studies.staleness.pictures import Advance, Settings
from parallel.studies.staleness.pictures.style import GREW, INK, RULE, SOFT, headline, new_figure, plain
from parallel.studies.staleness.theory import critical_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TAUS = (0, 1, 2, 4, 8)
RATES = [digit * 10.0**power for power in range(-6, 3) for digit in (1, 2, 5)]  # that the axes may name


def work(settings: Settings) -> int:
    """Parts of the measurement."""
    return len(MODELS) * len(TAUS) * settings.seeds


def measure(settings: Settings, advance: Advance) -> list[Measured]:
    """Train each model with each seed, and find its critical rates."""
    return [measure_model(name, TAUS, range(settings.seeds), advance) for name in MODELS]


def draw(result: list[Measured]) -> "Figure":
    """A panel for each model, and below the ratio of both."""
    figure = new_figure(12, 6.2)
    panels = figure.subplots(2, len(result), sharex=True, height_ratios=(2.6, 1), squeeze=False)
    for column, model in enumerate(result):
        _rates(panels[0, column], model)
        _ratios(panels[1, column], model)
    panels[0, 0].set_ylabel("critical learning rate", color=INK)
    panels[1, 0].set_ylabel("found / predicted", color=INK)
    panels[0, 0].legend(frameon=False, fontsize=9.5, loc="lower left")
    return figure


def _rates(axes: "Axes", model: Measured) -> None:
    every = np.linspace(0, model.tau.max(), 200)
    curve = 2 * np.sin(np.pi / (4 * every + 2))
    predicted = curve[:, None] / model.sharpness
    middle, low, high = np.exp(np.log(predicted).mean(axis=1)), predicted.min(axis=1), predicted.max(axis=1)
    axes.fill_between(every + 0.5, low, high, color=SOFT, alpha=0.18, linewidth=0)
    axes.plot(
        every + 0.5, middle, color=INK, linewidth=2, label=r"predicted: $2\,\sin\frac{\pi}{4\tau+2}\,/\,\lambda_{max}$"
    )
    found = np.exp(np.log(model.real).mean(axis=1))
    spread = np.abs(np.stack([model.real.min(axis=1), model.real.max(axis=1)]) - found)
    axes.errorbar(
        model.tau + 0.5, found, spread, linestyle="none", marker="o", markersize=7, markerfacecolor="white",
        color=GREW, capsize=4, linewidth=1.6, label=f"found by trial, {model.real.shape[1]} seeds",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [tick for tick in RATES if low <= tick <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(color=RULE, linewidth=0.6, which="major")
    plain(axes)
    sharpness = f"{model.sharpness.min():.3g} to {model.sharpness.max():.3g}"
    headline(axes, model.name, f"largest eigenvalue of the Hessian: {sharpness}")


def _ratios(axes: "Axes", model: Measured) -> None:
    ratio = model.real / model.predicted
    axes.axhline(1, color=INK, linewidth=1.4)
    middle = ratio.mean(axis=1)
    spread = np.stack([middle - ratio.min(axis=1), ratio.max(axis=1) - middle])
    axes.errorbar(
        model.tau + 0.5, middle, spread, linestyle="none", marker="o", markersize=6, markerfacecolor="white",
        color=GREW, capsize=4, linewidth=1.4,
    )  # fmt: skip
    axes.set_xticks(model.tau + 0.5, [str(tau) for tau in model.tau])
    axes.minorticks_off()
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    reach = max(0.1, float(np.abs(ratio - 1).max()) * 1.2)
    plain(axes, xlabel=r"staleness $\tau$", ylim=(1 - reach, 1 + reach))


def columns(result: list[Measured]) -> dict[str, Any]:
    """One row for each model, delay and seed."""
    rows = [
        (model.name, int(tau), seed, model.sharpness[seed], critical_step(tau), predicted, real)
        for model in result
        for tau, all_predicted, all_real in zip(model.tau, model.predicted, model.real, strict=True)
        for seed, (predicted, real) in enumerate(zip(all_predicted, all_real, strict=True))
    ]
    names = ("model", "tau", "seed", "sharpness", "critical_step", "predicted_lr", "found_lr")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
