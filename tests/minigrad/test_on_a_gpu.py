"""The same operations, layers, rules and kernels on a GPU, where there is one: each against its result on the CPU.

Where there is none, all of it is skipped, and the summary says so. Tolerances: docs/conventions.md, row `same-math`;
another order of additions is all that may differ.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import op_table
import pytest

from minigrad import nn
from minigrad.autograd import grad
from minigrad.device import gpu_module, moved
from minigrad.kernels import cpu, gpu
from minigrad.nn.gpt import GPT, GPTConfig
from minigrad.nn.models import MLP
from minigrad.optim.registry import RULES
from minigrad.tensor import Tensor

SAME_MATH = 1e-12
DEVICE = "cuda"


pytestmark = pytest.mark.usefixtures("gpu")  # of tests/conftest.py


def assert_same(ours: Any, theirs: Any) -> None:
    """A result that lies on the GPU, equal to the CPU's."""
    ours, theirs = (x.data if isinstance(x, Tensor) else x for x in (ours, theirs))
    host = moved(ours, "cpu")
    assert (host.shape, host.dtype) == (theirs.shape, theirs.dtype)
    scale = max(1.0, np.abs(np.where(np.isfinite(theirs), theirs, 0)).max(initial=0.0))
    np.testing.assert_allclose(host, theirs, rtol=0, atol=10 * SAME_MATH * scale)


def there(tensors: list[Tensor]) -> list[Tensor]:
    """Leaves of the same numbers on the GPU."""
    return [Tensor(moved(x.data, DEVICE), requires_grad=x.requires_grad) for x in tensors]


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("row", op_table.OPS_TABLE, ids=lambda row: row.id)
def test_an_operation_and_its_gradients(row: op_table.Row, contiguous: bool) -> None:
    inputs = op_table.inputs_for(row, seed=1, contiguous=contiguous)
    on_gpu = there(inputs)
    expected, found = row.function(*inputs), row.function(*on_gpu)
    assert found.device == DEVICE
    assert_same(found, expected)
    cotangent = Tensor(np.random.default_rng(1).standard_normal(expected.shape))
    gradients = grad(expected, inputs, cotangent, allow_unused=True)
    for ours, theirs in zip(grad(found, on_gpu, there([cotangent])[0], allow_unused=True), gradients, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert_same(ours, theirs)


MODELS = {
    "linear": lambda rng: (nn.Linear(4, 3, rng=rng), rng.standard_normal((5, 4))),
    "layer norm": lambda rng: (nn.LayerNorm(4), rng.standard_normal((5, 4))),
    "mlp": lambda rng: (MLP([4, 8, 3], rng=rng), rng.standard_normal((5, 4))),
    "gpt": lambda rng: (
        GPT(GPTConfig(vocab_size=11, block_size=6, n_embd=8, n_layer=2, n_head=2, dropout=0.0), rng=rng),
        rng.integers(0, 11, (2, 6)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_and_its_gradients(name: str) -> None:
    model, numbers = MODELS[name](np.random.default_rng(0))
    model.to(np.float64)
    twin = copy.deepcopy(model).to(DEVICE)
    for one, x in ((model, Tensor(numbers)), (twin, Tensor(moved(numbers, DEVICE)))):
        output = one(x)
        (output * output).mean().backward()
    for (which, ours), theirs in zip(twin.named_parameters(), model.parameters(), strict=True):
        assert ours.grad is not None, which
        assert_same(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", RULES)
def test_an_optimizer_rule(name: str) -> None:
    rng = np.random.default_rng(0)
    param, gradients = rng.standard_normal((4, 3)), rng.standard_normal((3, 4, 3))
    ours, states = moved(param.copy(), DEVICE), ({}, {})  # type: ignore[var-annotated]
    for t, gradient in enumerate(gradients, start=1):
        RULES[name](param, gradient, states[0], 0.1, t)
        RULES[name](ours, moved(gradient, DEVICE), states[1], 0.1, t)
    assert_same(ours, param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variant", list(gpu.MATMUL_TILES))
def test_the_matrix_products(variant: str, dtype: str) -> None:
    """Row `same-math-32` for float32."""
    rng = np.random.default_rng(0)
    for M, N, K in ((1, 1, 1), (65, 33, 17), (200, 130, 70)):
        a, b = rng.normal(size=(M, K)).astype(dtype), rng.normal(size=(K, N)).astype(dtype)
        found = moved(gpu.matmul(moved(a, DEVICE), moved(b, DEVICE), variant), "cpu")
        exact = a.astype(np.float64) @ b.astype(np.float64)
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("columns", [1, 33, 1000, 5000])
def test_rows_of_any_length(columns: int) -> None:
    """A warp to a row up to 1,024 columns, a block beyond."""
    x = np.random.default_rng(0).normal(scale=5, size=(7, columns))
    assert_same(gpu.softmax_forward(moved(x, DEVICE)), cpu.softmax_forward(x))
    weight = np.ones(columns)
    for ours, theirs in zip(
        gpu.layer_norm_forward(*(moved(one, DEVICE) for one in (x, weight, weight)), 1e-5),
        cpu.layer_norm_forward(x, weight, weight, 1e-5),
        strict=True,
    ):
        assert_same(ours, theirs)


def test_the_device_is_the_one_that_is_meant() -> None:
    assert gpu_module().cuda.runtime.getDeviceCount() > 0
