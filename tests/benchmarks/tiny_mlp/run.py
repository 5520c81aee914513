"""What the engine itself costs: a tiny MLP, 2-16-16-1 on 32 rows, where arithmetic takes next to no time.

    python tests/benchmarks/tiny_mlp/run.py [--pairs N] [--breakdown]

Forward and backward, float32, on one thread (two only wait for each other here). minigrad, PyTorch eager, HIPS/autograd
and the bare NumPy calls take turns; a ratio is the median over the turns of our time by theirs. A library that is not
installed is left out.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.commands.kernels import blas_description
from minigrad.nn import functional as F

SIZES, ROWS = (2, 16, 16, 1), 32
STEPS = 50  # in one timing

Gradients = list[np.ndarray]
Step = Callable[[], Gradients]  # one forward and backward

rng = np.random.default_rng(0)
X = rng.standard_normal((ROWS, SIZES[0])).astype(np.float32)
Y = rng.standard_normal((ROWS, SIZES[-1])).astype(np.float32)
WEIGHTS = [(rng.standard_normal((o, i)) / i**0.5).astype(np.float32) for i, o in pairwise(SIZES)]
BIASES = [(rng.standard_normal(o) * 0.1).astype(np.float32) for o in SIZES[1:]]


def minigrad_layers(activation: str) -> Step:
    """A Sequential of layers and a loss, as one writes a model: 8 operations."""
    act = {"tanh": mg.nn.Tanh, "relu": mg.nn.ReLU}[activation]
    linear = [mg.nn.Linear(i, o) for i, o in pairwise(SIZES)]
    for layer, weight, bias in zip(linear, WEIGHTS, BIASES, strict=True):
        layer.load_state_dict({"weight": weight, "bias": bias})
    model = mg.nn.Sequential(linear[0], act(), linear[1], act(), linear[2])
    parameters, x, y = list(model.parameters()), mg.Tensor(X), mg.Tensor(Y)

    def step() -> Gradients:
        for parameter in parameters:
            parameter.grad = None
        F.mse_loss(model(x), y).backward()
        return [parameter.grad.data for parameter in parameters]

    return step


def minigrad_operators(activation: str) -> Step:
    """The same written with operators: 11 operations."""
    pairs = zip(WEIGHTS, BIASES, strict=True)
    parameters = [mg.Tensor(p, requires_grad=True) for w, b in pairs for p in (w.T.copy(), b)]
    w1, b1, w2, b2, w3, b3 = parameters
    x, y = mg.Tensor(X), mg.Tensor(Y)
    act = getattr(mg.Tensor, activation)

    def step() -> Gradients:
        for parameter in parameters:
            parameter.grad = None
        error = act(act(x @ w1 + b1) @ w2 + b2) @ w3 + b3 - y
        (error * error).mean().backward()
        return [parameter.grad.data.T for parameter in parameters]

    return step


def torch_layers(activation: str) -> Step:
    """PyTorch eager, as `minigrad_layers`."""
    import torch

    act = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[activation]
    linear = [torch.nn.Linear(i, o) for i, o in pairwise(SIZES)]
    with torch.no_grad():
        for layer, weight, bias in zip(linear, WEIGHTS, BIASES, strict=True):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
    model = torch.nn.Sequential(linear[0], act(), linear[1], act(), linear[2])
    parameters, x, y = list(model.parameters()), torch.tensor(X), torch.tensor(Y)
    loss = torch.nn.functional.mse_loss

    def step() -> Gradients:
        for parameter in parameters:
            parameter.grad = None
        loss(model(x), y).backward()
        return [parameter.grad for parameter in parameters]

    return step


def torch_operators(activation: str) -> Step:
    """PyTorch eager, as `minigrad_operators`."""
    import torch

    weights = [torch.tensor(w.T.copy(), requires_grad=True) for w in WEIGHTS]
    biases = [torch.tensor(b, requires_grad=True) for b in BIASES]
    parameters = [p for pair in zip(weights, biases, strict=True) for p in pair]
    w1, b1, w2, b2, w3, b3 = parameters
    x, y = torch.tensor(X), torch.tensor(Y)
    act = getattr(torch, activation)

    def step() -> Gradients:
        for parameter in parameters:
            parameter.grad = None
        error = act(act(x @ w1 + b1) @ w2 + b2) @ w3 + b3 - y
        (error * error).mean().backward()
        return [parameter.grad.T if parameter.ndim == 2 else parameter.grad for parameter in parameters]

    return step


def hips(activation: str) -> Step:
    """HIPS/autograd, which has functions and no layers."""
    import autograd
    import autograd.numpy as anp

    parameters = [p for w, b in zip(WEIGHTS, BIASES, strict=True) for p in (w.T.copy(), b)]

    def act(x: Any) -> Any:
        return anp.tanh(x) if activation == "tanh" else anp.maximum(x, 0)

    def loss(parameters: list[Any]) -> Any:
        w1, b1, w2, b2, w3, b3 = parameters
        error = anp.dot(act(anp.dot(act(anp.dot(X, w1) + b1), w2) + b2), w3) + b3 - Y
        return anp.mean(error * error)

    value_and_grad = autograd.value_and_grad(loss)
    return lambda: [gradient.T for gradient in value_and_grad(parameters)[1]]


def bare_numpy(activation: str) -> Step:
    """The NumPy calls alone, derived by hand: what is left when the engine costs nothing."""
    (w1, w2, w3), (b1, b2, b3) = WEIGHTS, BIASES
    scale = np.float32(2.0 / Y.size)
    ones = np.ones(ROWS, np.float32)
    tanh = activation == "tanh"

    def step() -> Gradients:
        h1 = X @ w1.T
        h1 += b1
        h1 = np.tanh(h1) if tanh else np.maximum(h1, 0)
        h2 = h1 @ w2.T
        h2 += b2
        h2 = np.tanh(h2) if tanh else np.maximum(h2, 0)
        error = h2 @ w3.T
        error += b3
        error -= Y
        np.add.reduce(error * error, axis=None) / Y.size  # the loss
        d3 = error * scale
        d2 = d3 @ w3
        d2 *= 1.0 - h2 * h2 if tanh else h2 > 0
        d1 = d2 @ w2
        d1 *= 1.0 - h1 * h1 if tanh else h1 > 0
        return [d1.T @ X, ones @ d1, d2.T @ h1, ones @ d2, d3.T @ h2, ones @ d3]

    return step


FORMS: dict[str, dict[str, Callable[[str], Step]]] = {
    "layers": {"minigrad": minigrad_layers, "torch": torch_layers, "autograd": hips, "numpy": bare_numpy},
    "operators": {"minigrad": minigrad_operators, "torch": torch_operators, "autograd": hips, "numpy": bare_numpy},
}


def microseconds(step: Callable[[], object]) -> float:
    """Processor time of one call: with so little work it is one thread's, and what a machine with a free core takes."""
    start = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - start) / STEPS * 1e6


def in_turn(steps: dict[str, Callable[[], object]], pairs: int) -> dict[str, list[float]]:
    """Microseconds of each, `pairs` times, one after the other; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(pairs + 1):
        for name, step in steps.items():
            seconds[name].append(microseconds(step))
    return {name: found[1:] for name, found in seconds.items()}


def check(steps: dict[str, Step]) -> None:
    """All compute the same gradients (row `same-math-32` of docs/conventions.md)."""
    for name, step in steps.items():
        for ours, theirs in zip(steps["minigrad"](), step(), strict=True):
            np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-4, atol=1e-6, err_msg=name)


def ratio(found: dict[str, list[float]], name: str) -> str:
    """The median over the pairs of our time by theirs, and the range."""
    if name not in found:
        return "not installed"
    ratios = [ours / theirs for ours, theirs in zip(found["minigrad"], found[name], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def print_table(installed: list[str], pairs: int) -> None:
    """A row for each way of writing the model and each activation."""
    print("| written with | activation | minigrad us | PyTorch us | ratio | HIPS/autograd us | ratio | bare NumPy us |")
    print("|---|---|---|---|---|---|---|---|")
    for form, makers in FORMS.items():
        for activation in ("tanh", "relu"):
            steps = {name: makers[name](activation) for name in installed}
            check(steps)
            found = in_turn(steps, pairs)
            medians = {name: f"{statistics.median(times):.1f}" for name, times in found.items()}
            peers = [cell for name in ("torch", "autograd") for cell in (medians.get(name, "-"), ratio(found, name))]
            print("|", " | ".join([form, activation, medians["minigrad"], *peers, medians["numpy"]]), "|", flush=True)


def print_breakdown(pairs: int) -> None:
    """Microseconds of one operation on a single number: in the forward, in the backward, and NumPy's own."""
    length = 100
    one = np.ones(1, np.float32)
    x, constant = mg.Tensor(one, requires_grad=True), mg.Tensor(one)
    made = []

    def forward() -> None:
        y = x
        for _ in range(length):
            y = y + constant
        made.append(y)

    def unrecorded() -> None:
        with mg.no_grad():
            y = x
            for _ in range(length):
                y = y + constant

    def numpy() -> None:
        y = one
        for _ in range(length):
            y = y + one

    def backward() -> None:
        made.pop().backward()

    per_op: dict[str, list[float]] = {"forward": [], "forward under no_grad": [], "backward": [], "NumPy": []}
    for _ in range(pairs + 1):
        per_op["forward"].append(microseconds(forward) / length)
        per_op["backward"].append(microseconds(backward) / length)
        per_op["forward under no_grad"].append(microseconds(unrecorded) / length)
        per_op["NumPy"].append(microseconds(numpy) / length)
    print("\n| an addition of two numbers | us |\n|---|---|")
    for name, found in per_op.items():
        print(f"| {name} | {statistics.median(found[1:]):.2f} |")


def main() -> None:
    """Print the environment and the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15, help="how many times each is timed (default 15)")
    parser.add_argument("--breakdown", action="store_true", help="what one operation costs, too")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}")
    print(blas_description())
    peers = [name for name in ("torch", "autograd") if importlib.util.find_spec(name)]
    if "torch" in peers:
        import torch

        torch.set_num_threads(1)
    for name in peers:
        print(f"{name} {importlib.metadata.version(name)}")
    print_table(["minigrad", *peers, "numpy"], arguments.pairs)
    if arguments.breakdown:
        print_breakdown(arguments.pairs)


if __name__ == "__main__":
    main()
