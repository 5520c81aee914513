"""Why a stale gradient overshoots: it was read on the slope, and is used when the slope has already been descended."""

from __future__ import annotations

from drawing import Drawing

from parallel.studies.staleness import critical_step, simulate_quadratic

TAU, STEP = 2, 0.5
UPDATES = 24


def draw() -> Drawing:
    """Above: one update on the parabola. Below: whole runs at one step, fresh and at two delays."""
    picture = Drawing(720, 640, "A stale gradient overshoots the minimum; with a longer delay the swing grows")
    draw_parabola(picture, 20, 16, 680, 300)
    draw_runs(picture, 20, 330, 680, 300)
    return picture


def draw_parabola(picture: Drawing, left: float, top: float, width: float, height: float) -> None:
    """The loss w^2 / 2, the first weights of the run, and the gradient that carries one of them past the minimum."""
    w = simulate_quadratic(TAU, STEP, 8)
    step = 3  # this update starts exactly at the minimum, and still uses the slope read at w[0]
    before, after, read = w[step - 1], w[step], w[step - 1 - TAU]

    def place(weight: float) -> tuple[float, float]:
        return left + width * (0.42 + 0.46 * weight), top + height - 44 - 205 * weight * weight

    picture.rect(left, top, width, height, fill="card", radius=8)
    picture.text(left + 16, top + 28, f"One update with a gradient that is τ = {TAU} updates old", align="left",
                 bold=True, size=17)  # fmt: skip
    picture.curve([place(x / 50) for x in range(-30, 54)], ink="line", thickness=2.5)
    x0, y0 = place(read)
    picture.line(x0 - 56, y0 + 56 * slope(place, read), x0 + 34, y0 - 34 * slope(place, read), ink="orange",
                 thickness=3)  # fmt: skip
    (xb, yb), (xa, ya) = place(before), place(after)
    base = top + height - 24
    picture.arrow(xb, base, xa, base, ink="orange", thickness=3)
    for x, y in ((xb, yb), (xa, ya)):
        picture.line(x, y, x, base, ink="soft", thickness=1, dash="3 4")
    picture.circle(x0, y0, 7, fill="orange")
    picture.circle(xb, yb, 7, fill="blue")
    picture.circle(xa, ya, 7, fill="card", stroke="blue")
    picture.text(x0 - 16, y0 + 2, "gradient read here: steep", align="right", ink="orange", bold=True)
    picture.text(xb, yb - 62, "used here, at the minimum,", ink="blue", bold=True)
    picture.text(xb, yb - 42, "where the slope is 0", ink="blue", bold=True)
    picture.text(xa - 14, base - 20, "so the weight", align="right")
    picture.text(xa - 14, base, "overshoots", align="right")


def slope(place, weight: float) -> float:  # type: ignore[no-untyped-def]
    """Pixels up for each pixel to the right, of the drawn parabola."""
    (x0, y0), (x1, y1) = place(weight - 0.01), place(weight + 0.01)
    return (y0 - y1) / (x1 - x0)


def draw_runs(picture: Drawing, left: float, top: float, width: float, height: float) -> None:
    """The same step for three delays: one creeps, one swings and settles, one swings ever wider."""
    runs = ((0, "green", "fresh"), (TAU, "blue", "swings, settles"), (TAU + 1, "orange", "swings ever wider"))
    picture.rect(left, top, width, height, fill="card", radius=8)
    title = f"The same step ηa = {STEP:g} at three delays"
    picture.text(left + 16, top + 28, title, align="left", bold=True, size=17)
    x0, middle, per_update, scale = left + 40, top + 172, 16.5, 58

    picture.line(x0, middle, x0 + per_update * UPDATES, middle, ink="line", thickness=1)
    picture.text(x0 - 8, middle + 5, "0", align="right", ink="soft", size=14)
    picture.text(x0 - 8, middle - scale + 5, "1", align="right", ink="soft", size=14)
    picture.text(x0 + per_update * UPDATES, top + height - 10, "updates →", align="right", ink="soft", size=14)
    for row, (tau, ink, words) in enumerate(runs):
        w = simulate_quadratic(tau, STEP, UPDATES)
        picture.curve([(x0 + per_update * t, middle - scale * x) for t, x in enumerate(w)], ink=ink, thickness=2.5)
        y = top + 74 + 66 * row
        picture.line(left + 452, y - 5, left + 474, y - 5, ink=ink, thickness=4)
        picture.text(left + 482, y, f"τ = {tau}: {words}", align="left", ink=ink, bold=True, size=14)
        picture.text(left + 482, y + 20, f"critical step {critical_step(tau):.3g}", align="left", ink="soft", size=14)
