"""Picture: remedies against staleness, each on the same run, and the largest step that each of them bears."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parallel.studies.staleness import remedies
from parallel.studies.staleness.delays import constant
from parallel.studies.staleness.pictures import Advance, Settings
from parallel.studies.staleness.pictures.style import (
    BOUNDED,
    GREW,
    INK,
    RULE,
    SERIES,
    SHRANK,
    SOFT,
    headline,
    new_figure,
    plain,
)
from parallel.studies.staleness.replay import Replay, Rule, heavy_ball, replay
from parallel.studies.staleness.theory import critical_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

TAU = 8
PERIOD = 4 * TAU + 2  # of the swing at the boundary
RATE = 1.9  # in units of 1 / curvature: nearly all that a fresh gradient bears
UPDATES = 200
STEP = 1.06 * float(critical_step(TAU))  # of the panels: the plain run just diverges
STEPS = np.geomspace(0.02, 8.0, 600)  # tried for the largest that a remedy bears
TRIAL = 3000  # updates in each trial


class Recipe(NamedTuple):
    """A remedy of the picture, as a replay takes it."""

    name: str
    note: str
    remedy: remedies.Remedy | None = None
    rule: Callable[[int], Rule] | None = None  # of the delay


# One row puts a remedy into the picture, its CSV, and the tests.
RECIPES: list[Recipe] = [
    Recipe("plain", "swings ever wider"),
    Recipe("clipping at 0.2", "keeps it bounded, and never at rest", remedies.clipping(0.2)),
    Recipe("warm-up of 100", "a late start, the same end", remedies.warm_up(100)),
    Recipe("compensation λ g²", "vanishes at the minimum: no rest", remedies.delay_compensation(1.0)),
    Recipe("gap penalty", "slows down where it moves", remedies.gap_penalty()),
    Recipe("momentum −0.5", "brakes the swing", rule=lambda tau: heavy_ball(-0.5)),
    Recipe(
        "shifted momentum −0.3", "a velocity for each worker", rule=lambda tau: remedies.shifted_momentum(-0.3, tau)
    ),
    Recipe("rate / (2τ + 1)", "slow, and safe", remedies.staleness_aware(2, 1)),
    Recipe("Hessian known", "as if the gradient were fresh", remedies.exact_compensation()),
]

DIVIDED: dict[str, remedies.Remedy | None] = {
    "η₀ = 1.9/λ, as it is": None,
    "η₀ / τ": remedies.staleness_aware(1, 0),
    "η₀ / (τ + 1)": remedies.staleness_aware(1, 1),
    "η₀ / (2τ + 1)": remedies.staleness_aware(2, 1),
}


class Result(NamedTuple):
    """Runs at RATE, each divided in another way; runs at STEP with each remedy; the largest step of each remedy."""

    divided: list[Replay]
    treated: list[Replay]
    largest: list[float]


def treat(recipe: Recipe, step: Any, updates: int) -> Replay:
    """Replay a run, or many, with a remedy."""
    rule = recipe.rule(TAU) if recipe.rule is not None else None
    return replay(constant(TAU, updates), step, remedy=recipe.remedy, rule=rule)


def largest_step(recipe: Recipe) -> float:
    """The largest of STEPS up to which every run comes to rest: its last swing is smaller than one halfway."""
    runs = treat(recipe, STEPS, TRIAL)
    size = np.abs(runs.w)
    last, halfway = size[-PERIOD:].max(axis=0), size[TRIAL // 2 : TRIAL // 2 + PERIOD].max(axis=0)
    rests = ~runs.diverged & ((last < 0.99 * halfway) | (last < 1e-12))
    return float(STEPS[max(int(np.append(~rests, True).argmax()) - 1, 0)])


def work(settings: Settings) -> int:
    """Parts of the measurement."""
    return len(RECIPES) + 1


def measure(settings: Settings, advance: Advance) -> Result:
    """Replay everything."""
    fixed = constant(TAU, UPDATES)
    divided = [replay(fixed, RATE, remedy=remedy, far=1e12) for remedy in DIVIDED.values()]
    advance()
    treated, largest = [], []
    for recipe in RECIPES:
        treated.append(treat(recipe, STEP, 3 * UPDATES))
        largest.append(largest_step(recipe))
        advance()
    return Result(divided, treated, largest)


def draw(result: Result) -> "Figure":
    """Above why 2 tau + 1, below the other remedies."""
    figure = new_figure(12, 11)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.5), squeeze=False)[:, 0]
    left, right = above.subplots(1, 2)
    _divided(left, result)
    _why(right)
    panels = below.subplots(3, 3, sharex=True)
    for axes, recipe, run, largest in zip(panels.flat, RECIPES, result.treated, result.largest, strict=True):
        _treated(axes, recipe, run, largest)
    for axes in panels[-1]:
        axes.set_xlabel("update t", color=INK)
    for axes in panels[:, 0]:
        axes.set_ylabel("weight w", color=INK)
    return figure


def _divided(axes: "Axes", result: Result) -> None:
    for (name, _), run, colour in zip(
        DIVIDED.items(), result.divided, (SERIES[4], GREW, "#a65b14", SHRANK), strict=True
    ):
        size = np.maximum(np.abs(run.w), 1e-300)
        span = 2 * TAU + 1
        smooth = [float(np.sqrt(np.mean(size[max(0, t - span) : t + 1] ** 2))) for t in range(len(size))]
        axes.plot(smooth, color=colour, linewidth=2.2)
        label = f"{name}: left at update {int(run.left_at)}" if run.diverged else name
        last = min(len(smooth) - 1, UPDATES)
        axes.annotate(
            label, (last, min(smooth[-1], 1e11)), xytext=(7, 0), textcoords="offset points", color=colour, fontsize=9.5,
            fontweight="bold", va="center", annotation_clip=False,
        )  # fmt: skip
    axes.axhline(1, color=RULE, linewidth=1, zorder=0)
    axes.set_yscale("log")
    plain(axes, xlabel="update t", ylabel="size of the weight", xlim=(0, UPDATES), ylim=(1e-4, 1e12))
    axes.spines["bottom"].set_bounds(0, UPDATES)
    headline(
        axes,
        f"One rate at staleness {TAU}, divided in four ways",
        "dividing by τ is the published rule, and not enough",
    )


def _why(axes: "Axes") -> None:
    tau = np.arange(1, 33)
    axes.fill_between(tau, critical_step(tau), 10, color=GREW, alpha=0.10, linewidth=0)
    axes.plot(tau, critical_step(tau), color=INK, linewidth=2.4)
    lines = (
        (RATE / tau, "1.9 / τ", GREW),
        (RATE / (tau + 1), "1.9 / (τ + 1)", "#a65b14"),
        (RATE / (2 * tau + 1), "1.9 / (2τ + 1)", SHRANK),
    )
    for steps, _, colour in lines:
        axes.plot(tau, steps, color=colour, linewidth=1.8, linestyle=(0, (5, 2)))
        axes.plot(TAU, steps[TAU - 1], "o", color=colour, markersize=6)
    for (steps, name, colour), at, place in zip(
        lines, (2, 5, 3), ((2.5, 1.25), (6.6, 0.62), (1.25, 0.16)), strict=True
    ):
        axes.annotate(
            name,
            (at, float(steps[at - 1])),
            xytext=place,
            color=colour,
            fontsize=9.5,
            fontweight="bold",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.8},
        )
    axes.text(13, 0.3, "diverges", color="#8a4410", fontsize=11)
    axes.text(1.3, 0.06, "converges", color="#1c5f93", fontsize=11)
    axes.annotate(
        "critical step, about 3.14 / (2τ + 1)", (20, float(critical_step(20))), xytext=(3.4, 0.032), color=INK,
        fontsize=9.5,
        arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.8},
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    axes.minorticks_off()
    plain(axes, xlabel=r"staleness $\tau$", ylabel=r"step $\eta a$", ylim=(0.025, 2.2), xlim=(1, 32))
    headline(axes, "Why", "for long delays the boundary falls as π/(2τ + 1): the rate must, too")


def _treated(axes: "Axes", recipe: Recipe, run: Replay, largest: float) -> None:
    size, middle = np.abs(run.w), len(run.w) // 2
    trend = float(size[-PERIOD:].max() / size[middle : middle + PERIOD].max())
    colour = SHRANK if trend < 0.9 else BOUNDED if trend < 1.1 else GREW
    axes.axhline(0, color=RULE, linewidth=1, zorder=0)
    axes.plot(run.w, color=colour, linewidth=1.5)
    plain(axes, xlim=(0, len(run.w) - 1), ylim=(-3, 3))
    axes.set_title(recipe.name, loc="left", fontsize=11, fontweight="bold", color=INK, pad=18)
    axes.text(0, 1.03, recipe.note, transform=axes.transAxes, fontsize=9, color=SOFT, va="bottom")
    axes.text(1, 1.03, f"rests up to {largest:.2g}", transform=axes.transAxes, fontsize=9, va="bottom", ha="right")


def columns(result: Result) -> dict[str, Any]:
    """One row for each run: the divided rates, then the remedies."""
    runs = [*result.divided, *result.treated]
    return {
        "remedy": [name.replace(",", ";") for name in [*DIVIDED, *(recipe.name for recipe in RECIPES)]],
        "step": [RATE] * len(DIVIDED) + [STEP] * len(RECIPES),
        "left_at": [int(run.left_at) for run in runs],
        "norm_at_exit": [float(run.norm_at_exit) for run in runs],
        "last_swing": [float(np.abs(run.w[-PERIOD:]).max()) for run in runs],
        "largest_step_at_rest": [""] * len(DIVIDED) + [f"{step:.4g}" for step in result.largest],
    }
