"""Exercise 12: dividing gradients by the factor, leaving a step out, and finding the factor."""

from typing import Any

import numpy as np

Case = dict[str, Any]
# Gradients are written as text, so that infinities and NaN can be read in a failure.
GOOD, SPOILED = ["8 -4", "2"], ["8 inf", "2"]


def unscale_case(gradients: Any, factor: float = 8.0, times: int = 1) -> Case:
    """`times` calls of unscale_gradients on gradients such as ["1 2", "inf"]; "none" for none."""
    return {"function": "unscale_gradients", "gradients": list(gradients), "factor": factor, "times": times}


def step_case(gradients: Any, factor: float = 8.0, unscaled: bool = False) -> Case:
    """One call of step, after unscale_ or not."""
    return {"function": "step", "gradients": list(gradients), "factor": factor, "unscaled": unscaled}


def update_case(finite: Any, factor: float = 8.0, interval: int = 3, **factors: float) -> Case:
    """An update after each step of which `finite` says whether its gradients were finite (None: no step)."""
    return {"function": "update", "finite": list(finite), "factor": factor, "interval": interval, "factors": factors}


def training_case(steps: Any, factor: float = 8.0, interval: int = 2) -> Case:
    """Steps and updates in a row; each is "good", or "bad" if a gradient overflows."""
    return {"function": "training", "steps": list(steps), "factor": factor, "interval": interval}


CASES: list[Case] = [
    unscale_case(["8"]),
    unscale_case(["8 -4", "1"]),
    unscale_case(["8 -4", "none", "1"], factor=3.0),
    unscale_case(["inf"]),
    unscale_case(["nan 1"]),
    unscale_case(["1", "-inf", "2"]),
    unscale_case(["1 2", "nan"]),
    unscale_case([]),
    unscale_case(["8"], times=2),
    step_case(["8"]),
    step_case(GOOD),
    step_case(SPOILED),
    step_case(["1", "nan"]),
    step_case(GOOD, unscaled=True),
    step_case(SPOILED, unscaled=True),
    update_case([True]),
    update_case([False]),
    update_case([None]),
    update_case([True, True, True]),
    update_case([True] * 7),
    update_case([True, True, False, True]),
    update_case([True, True, False, True, True, True]),
    update_case([False, False], backoff_factor=0.25),
    update_case([True, True], interval=2, growth_factor=4.0),
    update_case([True, None]),
    training_case(["good"]),
    training_case(["bad"]),
    training_case(["good", "good", "good"]),
    training_case(["bad", "good", "good", "good", "bad", "bad", "good"]),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each method."""
    numbers = st.lists(st.sampled_from(["1", "-3", "8", "inf", "nan"]), min_size=1, max_size=2).map(" ".join)
    gradients = st.lists(st.one_of(numbers, st.just("none")), max_size=3)
    factors, intervals = st.sampled_from([1.0, 3.0, 8.0]), st.integers(1, 3)
    return {
        "unscale_gradients": st.builds(unscale_case, gradients, factors),
        "step": st.builds(step_case, gradients, factors, st.booleans()),
        "update": st.builds(update_case, st.lists(st.booleans(), min_size=1, max_size=7), factors, intervals),
        "training": st.builds(
            training_case, st.lists(st.sampled_from(["good", "bad"]), min_size=1, max_size=7), factors, intervals
        ),
    }


def run(case: Case) -> Any:
    """Call the method under check, on gradients of float32 as they are in mixed precision."""
    from minigrad.precision import GradScaler

    if case["function"] == "update":
        return {"after each update": updates(GradScaler, case)}
    if case["function"] == "training":
        return {"after each step": training(GradScaler, case)}
    parameters = made(case["gradients"])
    scaler = GradScaler(init_scale=case["factor"])
    result: dict[str, Any] = {}
    if case["function"] == "unscale_gradients":
        for _ in range(case["times"]):
            result["returned"] = scaler.unscale_gradients(parameters)
    else:
        optimizer: Any = Stepper(parameters)
        if case["unscaled"]:
            scaler.unscale_(optimizer)
        result |= {"returned": scaler.step(optimizer), "parameters": optimizer.seen(), "steps": optimizer.steps}
    arrays = [None if parameter.grad is None else np.array(parameter.grad.data) for parameter in parameters]
    return result | {"gradients": arrays, "factor": scaler.factor, "scaler.finite": scaler.finite}


def updates(scaler_type: Any, case: Case) -> list[Any]:
    """The state after each update."""
    scaler = scaler_type(init_scale=case["factor"], growth_interval=case["interval"], **case["factors"])
    seen = []
    for finite in case["finite"]:
        scaler.finite = finite
        scaler.update()
        seen.append({"factor": scaler.factor, "good_steps": scaler.good_steps, "finite": scaler.finite})
    return seen


def training(scaler_type: Any, case: Case) -> list[Any]:
    """One parameter under a true gradient of 1, which arrives multiplied by the factor."""
    scaler = scaler_type(init_scale=case["factor"], growth_interval=case["interval"])
    parameters = made(["0"])
    optimizer, seen = Stepper(parameters), []
    for step in case["steps"]:
        parameters[0].grad.data[...] = scaler.factor if step == "good" else np.inf
        stepped = scaler.step(optimizer)
        scaler.update()
        seen.append({"stepped": stepped, "parameter": optimizer.seen()[0], "factor": scaler.factor})
    return seen


def made(gradients: list[str]) -> list[Any]:
    """Parameters at zero with these gradients."""
    from minigrad import Tensor

    parameters = []
    for text in gradients:
        numbers = np.array([] if text == "none" else text.split(), dtype=np.float32)
        parameters.append(Tensor(np.zeros(numbers.shape, np.float32), requires_grad=True))
        parameters[-1].grad = None if text == "none" else Tensor(numbers)
    return parameters


class Stepper:
    """An optimizer for the check: it subtracts the gradient, and counts its steps."""

    def __init__(self, params: list[Any]) -> None:
        self.params, self.steps = params, 0

    def step(self) -> None:
        self.steps += 1
        for parameter in self.params:
            if parameter.grad is not None:
                parameter.data = parameter.data - parameter.grad.data

    def seen(self) -> list[Any]:
        return [np.array(parameter.data) for parameter in self.params]


def call(case: Case) -> str:
    """What was called."""
    if case["function"] == "unscale_gradients":
        return f"scaler.unscale_gradients(parameters){', twice' if case['times'] == 2 else ''}"
    if case["function"] == "step":
        return f"{'scaler.unscale_(optimizer), then ' if case['unscaled'] else ''}scaler.step(optimizer)"
    number = len(case["finite" if case["function"] == "update" else "steps"])
    what = "scaler.update()" if case["function"] == "update" else "scaler.step(optimizer), then scaler.update()"
    return f"{what}{f', {number} times' if number > 1 else ''}"


def inputs(case: Case) -> str:
    """With what."""
    start = f"factor {case['factor']:g}"
    if case["function"] == "update":
        options = "".join(f", {name} {value:g}" for name, value in case["factors"].items())
        finite = ", ".join(map(str, case["finite"]))
        return f"{start}, growth_interval {case['interval']}{options}; scaler.finite = {finite}"
    if case["function"] == "training":
        return f"{start}, growth_interval {case['interval']}; a true gradient of 1, steps: {', '.join(case['steps'])}"
    return f"{start}, gradients {', '.join(f'[{text}]' for text in case['gradients']) or '(none)'}"
