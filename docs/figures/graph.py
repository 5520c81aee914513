"""The graph of y = (x + 1) * 2x, and the walk back through it: a value that is used twice gets two gradients."""

from drawing import Drawing

import minigrad as mg

BOXES = {"x": (18, 98), "a": (134, 38), "b": (134, 158), "y": (250, 98)}  # upper left corners in a panel
WIDTH, HEIGHT = 78, 44
EDGES = (("x", "a"), ("x", "b"), ("a", "y"), ("b", "y"))


def numbers() -> tuple[dict[str, float], dict[str, float]]:
    """Values and gradients of the four, computed by the engine that the picture explains."""
    x = mg.Tensor(3.0, requires_grad=True)
    a, b = x + 1, x * 2
    y = a * b
    names = {"x": x, "a": a, "b": b, "y": y}
    gradients = mg.grad(y, list(names.values()))
    return (
        {name: tensor.item() for name, tensor in names.items()},
        {name: gradient.item() for name, gradient in zip(names, gradients, strict=True)},
    )


def draw() -> Drawing:
    """Four panels: the forward, and the three nodes that the walk visits before it reaches x."""
    values, gradients = numbers()
    through_a, through_b = gradients["a"], 2 * gradients["b"]
    assert through_a + through_b == gradients["x"]
    g = {name: f"{gradient:g}" for name, gradient in gradients.items()}
    first = {name: f"grad {g[name]}" for name in ("y", "a", "b")}
    picture = Drawing(720, 560, "The graph of y = (x + 1) times 2x at x = 3, and the backward walk in three steps")
    panels = [
        ("Forward", "each operation leaves a node", {}, set()),
        ("Visit y", "y = a·b hands b to a, and a to b", first, {"ay", "by"}),
        ("Visit a", f"a hands {g['a']} × 1 to x, which must wait",
         first | {"x": f"grad {through_a:g} …"}, {"xa"}),
        ("Visit b, then x is complete", f"b hands {g['b']} × 2: the two shares add up",
         first | {"x": f"{through_a:g} + {through_b:g} = {g['x']}"}, {"xb"}),
    ]  # fmt: skip
    for index, (title, words, shown, active) in enumerate(panels):
        left, top = 8 + 356 * (index % 2), 8 + 276 * (index // 2)
        panel(picture, left, top, f"{index + 1}. {title}", words, values, shown, active)
    return picture


def panel(
    picture: Drawing, left: float, top: float, title: str, words: str,
    values: dict[str, float], shown: dict[str, str], active: set[str],
) -> None:  # fmt: skip
    """One panel: the graph, the gradients known so far, and as arrows those that are handed over now."""
    picture.rect(left, top, 348, 268, fill="card", radius=8)
    picture.text(left + 14, top + 27, title, align="left", bold=True, size=17)
    picture.text(left + 14, top + 256, words, align="left", ink="soft", size=15)
    formulas = {"x": "x", "a": "a = x+1", "b": "b = 2x", "y": "y = a·b"}
    for source, dest in EDGES:
        back = source + dest in active
        (x0, y0), (x1, y1) = BOXES[source], BOXES[dest]
        ends = (left + x0 + WIDTH, top + y0 + HEIGHT / 2), (left + x1, top + y1 + HEIGHT / 2)
        if back:
            picture.arrow(*ends[1], *ends[0], ink="orange", thickness=3)
        else:
            picture.arrow(*ends[0], *ends[1], ink="line", thickness=1.5)
    for name, (x, y) in BOXES.items():
        x, y = left + x, top + y
        visited = name in shown
        picture.rect(x, y, WIDTH, HEIGHT, fill="paper", stroke="orange" if visited else "blue", thickness=2)
        picture.text(x + WIDTH / 2, y + 18, formulas[name], size=14)
        picture.text(x + WIDTH / 2, y + 37, f"{values[name]:g}", size=17, ink="blue", bold=True)
        if visited:
            picture.text(x + WIDTH / 2, y + HEIGHT + 20, shown[name], size=15, ink="orange", bold=True)
