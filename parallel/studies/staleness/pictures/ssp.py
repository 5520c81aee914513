"""Picture: bounded staleness, where steps that come fast meet steps that are good."""

from typing import TYPE_CHECKING, Any

import numpy as np

from parallel.cluster import Exponential
from parallel.studies.staleness.pictures import Advance, Settings
from parallel.studies.staleness.pictures.style import GREW, INK, RULE, SERIES, SHRANK, headline, new_figure, plain
from parallel.studies.stragglers.race import BOUNDS, WORKERS, BoundCurve, bound_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATES = (0.005, 0.01, 0.015, 0.02, 0.025)
MOMENTUM, TARGET, SECONDS = 0.9, 0.01, 120.0
RACES = 4  # of each bound, for each seed
SHOWN = 3  # index of the rate whose runs are drawn over time


def work(settings: Settings) -> int:
    """Parts of the measurement."""
    return len(BOUNDS)


def measure(settings: Settings, advance: Advance) -> BoundCurve:
    """Race every bound."""
    return bound_curve(
        Exponential(), np.array(RATES), MOMENTUM, TARGET, SECONDS, RACES * settings.seeds, advance=advance,
        seed=settings.seed,
    )  # fmt: skip


def draw(result: BoundCurve) -> "Figure":
    """What a bound costs, what it brings, and both together."""
    figure = new_figure(15, 5.4)
    grid = figure.add_gridspec(2, 3)
    above = figure.add_subplot(grid[0, 0])
    _throughput(above, result)
    _staleness(figure.add_subplot(grid[1, 0], sharex=above), result)
    _over_time(figure.add_subplot(grid[:, 1]), result)
    _joint(figure.add_subplot(grid[:, 2]), result)
    return figure


def name_of(bound: int | None) -> str:
    """A bound as a label."""
    return "∞" if bound is None else str(bound)


def _bounds_along(axes: "Axes", result: BoundCurve) -> None:
    places = [place for place, bound in enumerate(result.bounds) if bound in (0, 1, 2, 4, 8, 16, 32, None)]
    axes.set_xticks(places, [name_of(result.bounds[place]) for place in places])
    plain(axes, xlabel="bound s: clocks that a worker may be ahead")


def _throughput(axes: "Axes", result: BoundCurve) -> None:
    axes.plot(range(len(result.bounds)), result.throughput, color=INK, linewidth=2.4)
    plain(axes, ylabel="gradients a second\nfor each worker", ylim=(0, 1.1))
    axes.tick_params(labelbottom=False)
    headline(axes, "What a bound costs, what it holds", f"{WORKERS} workers, exponential step times")


def _staleness(axes: "Axes", result: BoundCurve) -> None:
    places = np.arange(len(result.bounds))
    for column, (label, colour) in enumerate((("mean", SHRANK), ("95 %", SERIES[4]), ("largest", GREW))):
        axes.plot(places, result.staleness[:, column], color=colour, linewidth=1.8)
        axes.annotate(
            label, (places[-1], float(result.staleness[-1, column])), xytext=(6, 0), textcoords="offset points",
            color=colour, fontsize=9.5, va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip
    axes.set_yscale("log", base=2)
    ticks = (4, 8, 16, 32, 64, 128)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    _bounds_along(axes, result)
    axes.set(ylabel="staleness, in updates")


def _over_time(axes: "Axes", result: BoundCurve) -> None:
    best = result.best(SHOWN)
    for place, colour in ((0, SHRANK), (best, INK), (len(result.bounds) - 1, GREW)):
        curve = result.losses[place][:, SHOWN]
        axes.plot(result.times, curve, color=colour, linewidth=2.4 if place == best else 1.6)
        reached = float(result.reached[place, SHOWN])
        axes.plot(reached, TARGET, "o", color=colour, markersize=7, zorder=5)
        axes.plot([], [], color=colour, linewidth=2, label=f"s = {name_of(result.bounds[place])}: {reached:.0f} s")
    axes.axhline(TARGET, color=RULE, linewidth=1, zorder=0)
    axes.set_yscale("log")
    axes.legend(frameon=False, fontsize=9.5, loc="upper right")
    plain(axes, xlabel="virtual time, in mean steps", ylabel="loss, of that at the start", xlim=(0, 80), ylim=(1e-4, 2))
    headline(axes, f"One rate, {RATES[SHOWN]}, against the clock", "dots: below 1 % to stay; mean of the races")


def _joint(axes: "Axes", result: BoundCurve) -> None:
    places = np.arange(len(result.bounds))
    for rate, colour in enumerate(SERIES[: len(RATES)]):
        reached = result.reached[:, rate]
        came = reached < result.times[-1]
        axes.plot(places[came], reached[came], color=colour, linewidth=1.8, marker=".", markersize=5)
        if not came.any():
            continue
        best = result.best(rate)
        axes.plot(best, reached[best], "*", color=colour, markersize=16, markeredgecolor="white", zorder=5)
        last = places[came][-1]
        axes.annotate(
            f"rate {result.rates[rate]:g}", (last, reached[last]), xytext=(9, 0), textcoords="offset points",
            color=colour, fontsize=9.5, va="center", fontweight="bold", annotation_clip=False,
        )  # fmt: skip
    axes.set_yscale("log")
    ticks = (20, 30, 40, 60, 80, 120)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(color=RULE, linewidth=0.6, axis="y")
    _bounds_along(axes, result)
    axes.set(ylabel="time to 1 % of the loss, in mean steps", ylim=(18, 125))
    headline(axes, "Faster steps against worse steps", "stars: the best s; the larger the rate, the smaller it is")


def columns(result: BoundCurve) -> dict[str, Any]:
    """One row for each bound and rate; a target that was not reached has no time."""
    bounds, rates = len(result.bounds), len(result.rates)
    missed = result.reached >= result.times[-1]
    best = [result.best(rate) for rate in range(rates)]
    return {
        "bound": np.repeat([name_of(bound).replace("∞", "none") for bound in result.bounds], rates),
        "throughput": np.repeat(result.throughput, rates),
        "mean_staleness": np.repeat(result.staleness[:, 0], rates),
        "staleness_95_percent": np.repeat(result.staleness[:, 1], rates),
        "largest_staleness": np.repeat(result.staleness[:, 2], rates),
        "rate": np.tile(result.rates, bounds),
        "seconds_to_target": ["" if not_there else f"{time:g}" for not_there, time in
                              zip(missed.ravel(), result.reached.ravel(), strict=True)],
        "best": (np.arange(bounds)[:, None] == best).ravel().astype(int),
    }  # fmt: skip
