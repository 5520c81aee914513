"""Exercise 10: the joint norm of gradients, clipping by it, warm-up, and warm-up with a cosine."""

from typing import Any

import numpy as np

Case = dict[str, Any]


def norm_case(shapes: Any, missing: int | None = None, seed: int = 0, scale: float = 1.0) -> Case:
    """One call of get_total_norm; parameter number `missing` has no gradient."""
    return {
        "function": "get_total_norm", "shapes": [tuple(shape) for shape in shapes], "missing": missing, "seed": seed,
        "scale": scale,
    }  # fmt: skip


def clip_case(shapes: Any, max_norm: float, total: float, missing: int | None = None, seed: int = 0) -> Case:
    """One call of clip_grads_with_norm_, told that the norm is `total`."""
    return norm_case(shapes, missing, seed, scale=4.0) | {
        "function": "clip_grads_with_norm_", "max_norm": max_norm, "total": total,
    }  # fmt: skip


def warmup_case(warmup_steps: int, peak: float = 1.0, steps: tuple[int, int] = (0, 6)) -> Case:
    """linear_warmup at all steps of a range."""
    return {"function": "linear_warmup", "steps": steps, "options": {"peak": peak, "warmup_steps": warmup_steps}}


def cosine_case(
    warmup_steps: int, total_steps: int, peak: float = 1.0, final: float = 0.0, steps: tuple[int, int] = (0, 8)
) -> Case:
    """warmup_cosine at all steps of a range."""
    options = {"peak": peak, "warmup_steps": warmup_steps, "total_steps": total_steps, "final": final}
    return {"function": "warmup_cosine", "steps": steps, "options": options}


CASES: list[Case] = [
    norm_case([(1,)]),
    norm_case([(2,)]),
    norm_case([(2,), (3,)]),
    norm_case([(2, 2), (3,), ()]),
    norm_case([(2,), (3,)], missing=0),
    norm_case([]),
    norm_case([(2,), (2,)], scale=0.0),
    clip_case([(2,)], 1.0, 4.0),
    clip_case([(2,)], 4.0, 1.0),
    clip_case([(2,), (2, 2)], 1.0, 4.0),
    clip_case([(2,), (3,)], 0.5, 0.5),
    clip_case([(2,), (3,)], 2.0, 3.0, missing=1),
    clip_case([(3,), (2,)], 0.1, 0.0),
    clip_case([(2,)], 0.0, 1.0),
    warmup_case(1),
    warmup_case(2),
    warmup_case(4, peak=0.3),
    warmup_case(0),
    warmup_case(-1),
    warmup_case(2, steps=(-1, 0)),
    cosine_case(0, 2),
    cosine_case(2, 6),
    cosine_case(1, 5, peak=0.4, final=0.1),
    cosine_case(3, 3, final=0.2),
    cosine_case(2, 4, steps=(0, 12)),
    cosine_case(5, 4),
    cosine_case(-1, 4),
    cosine_case(1, 4, steps=(-1, 0)),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    shapes = st.lists(st.sampled_from([(1,), (2,), (2, 2), ()]), max_size=3)
    missing, seeds = st.sampled_from([None, 0, 1]), st.integers(0, 1000)
    norms = st.sampled_from([0.5, 1.0, 2.0, 4.0])
    peaks = st.sampled_from([1.0, 0.3])
    return {
        "get_total_norm": st.builds(norm_case, shapes, missing, seeds),
        "clip_grads_with_norm_": st.builds(clip_case, shapes, norms, norms, missing, seeds),
        "linear_warmup": st.builds(warmup_case, st.integers(0, 8), peaks),
        "warmup_cosine": st.builds(
            lambda warmup, fall, peak, final: cosine_case(warmup, max(1, warmup + fall), peak, final),
            st.integers(0, 5), st.integers(0, 6), peaks, st.sampled_from([0.0, 0.1]),
        ),
    }  # fmt: skip


def run(case: Case) -> Any:
    """Call the function under check."""
    if "steps" in case:
        from minigrad.optim import schedules

        schedule = getattr(schedules, case["function"])
        return {"rate": [schedule(step, **case["options"]) for step in range(*case["steps"])]}
    from minigrad import Tensor
    from minigrad.optim import clipping

    arrays = gradients(case)
    parameters = []
    for array in arrays:
        parameter = Tensor(np.zeros(np.shape(array)), requires_grad=True)
        parameter.grad = None if array is None else Tensor(array)
        parameters.append(parameter)
    if case["function"] == "get_total_norm":
        return {"norm": clipping.get_total_norm(parameters)}
    held = [None if parameter.grad is None else parameter.grad.data for parameter in parameters]
    clipping.clip_grads_with_norm_(parameters, case["max_norm"], case["total"])
    afterwards = [None if parameter.grad is None else parameter.grad.data for parameter in parameters]
    same = all(one is other for one, other in zip(held, afterwards, strict=True))
    return {"gradients": [None if array is None else np.array(array) for array in afterwards],
            "arrays": "the same as before" if same else "new ones: others may hold the old"}  # fmt: skip


def gradients(case: Case) -> list[Any]:
    """An array for each parameter, None for one without a gradient."""
    rng = np.random.default_rng(case["seed"])
    made = [np.asarray(case["scale"] * rng.standard_normal(shape)) for shape in case["shapes"]]
    return [None if number == case["missing"] else array for number, array in enumerate(made)]


def numeric(case: Case) -> Any:
    """The norm by a loop over all numbers."""
    if case["function"] != "get_total_norm":
        return None
    total = 0.0
    for array in gradients(case):
        for value in array.flat if array is not None else ():
            total += value**2
    return {"norm": np.asarray(total**0.5)}


def call(case: Case) -> str:
    """What was called."""
    if "steps" in case:
        options = ", ".join(f"{name}={value:g}" for name, value in case["options"].items())
        first, end = case["steps"]
        return f"{case['function']}(step, {options}), step = {first}{f' to {end - 1}' if end - first > 1 else ''}"
    if case["function"] == "get_total_norm":
        return "get_total_norm(parameters)"
    return f"clip_grads_with_norm_(parameters, max_norm={case['max_norm']:g}, total_norm={case['total']:g})"


def inputs(case: Case) -> str:
    """With what."""
    if "steps" in case:
        return f"rate[k] is the learning rate of step {case['steps'][0]} + k"
    shown = [
        "None" if array is None else " ".join(np.array2string(array, precision=4, separator=", ").split())
        for array in gradients(case)
    ]
    return f"gradients {', '.join(shown)}" if shown else "no parameters at all"
