"""Exercise 05: momentum and AdamW, for several steps in a row."""

from typing import Any

import numpy as np

Case = dict[str, Any]


def case(
    rule: str, steps: int, shape: tuple[int, ...] = (2,), seed: int = 0, scale: float = 1.0, **options: Any
) -> Case:
    """`steps` updates by one rule, each with a gradient of its own."""
    return {"function": rule, "steps": steps, "shape": shape, "seed": seed, "scale": scale, "options": options}


CASES: list[Case] = [
    case("sgd", 1),
    case("sgd", 2),
    case("sgd", 1, weight_decay=0.5),
    case("sgd", 2, momentum=0.5),
    case("sgd", 3, momentum=0.9),
    case("sgd", 3, momentum=0.9, weight_decay=0.1),
    case("sgd", 3, momentum=0.9, nesterov=True),
    case("adam_direction", 1),
    case("adam_direction", 3),
    case("adam_direction", 2, shape=(2, 3), betas=(0.8, 0.95)),
    case("adam_direction", 2, bias_correction=False),
    case("adam_direction", 2, scale=1e-7),
    case("adamw", 1, weight_decay=0.0),
    case("adamw", 2, weight_decay=0.0),
    case("adamw", 1, weight_decay=0.5),
    case("adamw", 4, shape=(2, 3), betas=(0.8, 0.95), weight_decay=0.3),
    case("adamw", 2, scale=1e-7, weight_decay=0.0),
    case("adamw", 1, scale=0.0, weight_decay=0.0),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each rule."""
    steps, seeds, shapes = st.integers(1, 4), st.integers(0, 1000), st.sampled_from([(1,), (2,), (2, 2)])
    decay = st.sampled_from([0.0, 0.5])
    sgd = st.builds(
        lambda steps, shape, seed, momentum, nesterov, decay: case(
            "sgd", steps, shape, seed, momentum=momentum, nesterov=nesterov and momentum > 0, weight_decay=decay
        ),
        steps, shapes, seeds, st.sampled_from([0.0, 0.5, 0.9]), st.booleans(), decay,
    )  # fmt: skip
    adamw = st.builds(
        lambda steps, shape, seed, beta, decay: case(
            "adamw", steps, shape, seed, betas=(beta, 0.99), weight_decay=decay
        ),
        steps, shapes, seeds, st.sampled_from([0.0, 0.5, 0.9]), decay,
    )  # fmt: skip
    direction = st.builds(
        lambda steps, shape, seed, beta, corrected: case(
            "adam_direction", steps, shape, seed, betas=(beta, 0.99), bias_correction=corrected
        ),
        steps, shapes, seeds, st.sampled_from([0.0, 0.5, 0.9]), st.booleans(),
    )  # fmt: skip
    return {"sgd": sgd, "adam_direction": direction, "adamw": adamw}


def run(case: Case) -> Any:
    """Call the rule `steps` times on one parameter, as an optimizer does."""
    from minigrad.optim import rules

    rule = getattr(rules, case["function"])
    param, gradients = numbers(case)
    copies = [gradient.copy() for gradient in gradients]
    state: dict[str, Any] = {}
    if case["function"] == "adam_direction":
        options = {"betas": (0.9, 0.999), "eps": 1e-8} | case["options"]
        directions = [
            np.array(rule(gradient, state, t, **options), copy=True) for t, gradient in enumerate(gradients, start=1)
        ]
        return {"direction": directions[-1], "grad afterwards": seen(gradients, copies)}
    for t, gradient in enumerate(gradients, start=1):
        rule(param, gradient, state, 0.1, t, **case["options"])
    return {"param": param, "grad afterwards": seen(gradients, copies)}


def seen(gradients: list[Any], copies: list[Any]) -> str:
    untouched = all(np.array_equal(*pair) for pair in zip(gradients, copies, strict=True))
    return "as it was" if untouched else "was written to"


def numbers(case: Case) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(case["seed"])
    param = rng.standard_normal(case["shape"])
    return param, [case["scale"] * rng.standard_normal(case["shape"]) for _ in range(case["steps"])]


def call(case: Case) -> str:
    """What was called."""
    options = "".join(f", {name}={value}" for name, value in case["options"].items())
    times = f", t = 1 to {case['steps']}" if case["steps"] > 1 else ", t = 1"
    if case["function"] == "adam_direction":
        return f"adam_direction(grad, state, t{options}){times}"
    return f"{case['function']}(param, grad, state, 0.1, t{options}){times}"


def inputs(case: Case) -> str:
    """With what."""
    param, gradients = numbers(case)
    shown = [" ".join(np.array2string(array, precision=5, separator=", ").split()) for array in (param, *gradients)]
    return f"param = {shown[0]}, grad = {', then '.join(shown[1:])}"
