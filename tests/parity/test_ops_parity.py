"""Operations, losses and layers against PyTorch: values and gradients, float64 and float32.

Rows `outside` (1e-10 relative, float64) and `same-math-32` (1e-5, float32) of docs/conventions.md; relative to the
largest magnitude. `make parity` installs PyTorch in an environment of its own and runs this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
TF = torch.nn.functional

import minigrad as mg  # noqa: E402
from minigrad import nn  # noqa: E402
from minigrad.nn import functional as F  # noqa: E402

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}
LABELS = np.array([2, 0, 1, 2, 2])
SKIPPING = np.array([2, -100, 1, -100, 0])
INDEX = np.array([[0, 0], [2, 1], [1, 1]])
TABLE = np.array([[0, 2, 0], [3, 0, 2]])
VISIBLE = np.array([[1, 0, 1], [1, 1, 1], [0, 0, 1]], dtype=bool)
CONDITION = np.array([[True, False, True, False]] * 3)


class Case(NamedTuple):
    """One function in both libraries."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((3, 4),)
    positive: bool = False


def same(name: str, *shapes: tuple[int, ...], positive: bool = False) -> Case:
    """A method of one name in both."""
    call = lambda x, *rest: getattr(x, name)(*rest)  # noqa: E731
    return Case(name, call, call, shapes or ((3, 4),), positive)


def t(array: np.ndarray) -> Any:
    return torch.from_numpy(array)


CASES = [
    *map(same, ("exp", "tanh", "sigmoid", "relu", "abs", "erf", "sum", "mean", "var", "std", "max", "min")),
    *(same(name, positive=True) for name in ("log", "sqrt")),
    *(same(name, (3, 4), (4,)) for name in ("maximum", "minimum", "matmul")),
    same("outer", (3,), (4,)),
    Case("add", lambda a, b: a + b, lambda a, b: a + b, ((3, 1), (4,))),
    Case("sub", lambda a, b: a - b, lambda a, b: a - b, ((3, 1), (4,))),
    Case("mul", lambda a, b: a * b, lambda a, b: a * b, ((3, 1), (4,))),
    Case("div", lambda a, b: a / b, lambda a, b: a / b, ((3, 1), (4,)), True),
    Case("pow", lambda x: x**3, lambda x: x**3),
    Case("pow half", lambda x: x**0.5, lambda x: x**0.5, positive=True),
    Case("clip", lambda x: x.clip(-0.5, 0.5), lambda x: x.clip(-0.5, 0.5)),
    Case("where", lambda a, b: mg.where(CONDITION, a, b), lambda a, b: torch.where(t(CONDITION), a, b),
         ((3, 4), (4,))),
    Case("leaky_relu", lambda x: F.leaky_relu(x, 0.1), lambda x: TF.leaky_relu(x, 0.1)),
    Case("gelu", F.gelu, TF.gelu),
    Case("gelu tanh", lambda x: F.gelu(x, "tanh"), lambda x: TF.gelu(x, approximate="tanh")),
    Case("silu", F.silu, TF.silu),
    Case("softplus", F.softplus, TF.softplus),
    Case("sum dim", lambda x: x.sum((0, 2), True), lambda x: x.sum((0, 2), True), ((2, 3, 4),)),
    Case("mean dim", lambda x: x.mean(1), lambda x: x.mean(1), ((2, 3, 4),)),
    Case("var dim", lambda x: x.var(1, correction=0), lambda x: x.var(1, correction=0), ((2, 3, 4),)),
    Case("amax", lambda x: x.amax((0, 1)), lambda x: x.amax((0, 1)), ((2, 3, 4),)),
    Case("max dim", lambda x: x.max(1)[0], lambda x: x.max(1)[0], ((2, 3, 4),)),
    Case("min dim", lambda x: x.min(1, keepdim=True)[0], lambda x: x.min(1, keepdim=True)[0], ((2, 3, 4),)),
    Case("logsumexp", lambda x: x.logsumexp(1), lambda x: x.logsumexp(1), ((2, 3, 4),)),
    Case("norm", lambda x: x.norm(), lambda x: x.norm()),
    Case("norm dim", lambda x: x.norm(1), lambda x: x.norm(dim=1)),
    Case("norm at zero", lambda x: (x * 0).norm(), lambda x: (x * 0).norm()),
    Case("cumsum", lambda x: x.cumsum(1), lambda x: x.cumsum(1)),
    Case("matmul batch", lambda a, b: a @ b, lambda a, b: a @ b, ((2, 1, 3, 4), (5, 4, 2))),
    Case("einsum", lambda a, b: mg.einsum("bij,bjk->bki", a, b), lambda a, b: torch.einsum("bij,bjk->bki", a, b),
         ((2, 3, 4), (2, 4, 2))),
    Case("transpose", lambda x: x.transpose(0, 2) * 2, lambda x: x.transpose(0, 2) * 2, ((2, 3, 4),)),
    Case("permute", lambda x: x.permute(2, 0, 1) * 2, lambda x: x.permute(2, 0, 1) * 2, ((2, 3, 4),)),
    Case("flatten", lambda x: x.flatten(1) * 2, lambda x: x.flatten(1) * 2, ((2, 3, 4),)),
    Case("expand", lambda x: x.expand(5, -1, 3), lambda x: x.expand(5, -1, 3), ((2, 1),)),
    Case("cat", lambda a, b: mg.cat([a, b], 1), lambda a, b: torch.cat([a, b], 1), ((2, 3), (2, 1))),
    Case("stack", lambda a, b: mg.stack([a, b], 1), lambda a, b: torch.stack([a, b], 1), ((2, 3), (2, 3))),
    Case("split", lambda x: x.split(2, 1)[1] * 3, lambda x: x.split(2, 1)[1] * 3, ((2, 5),)),
    Case("flip", lambda x: x.flip(0, 1), lambda x: x.flip(0, 1)),
    Case("pad", lambda x: x.pad(((1, 0), (0, 2)), 3.0), lambda x: TF.pad(x, (0, 2, 1, 0), value=3.0)),
    Case("gather", lambda x: x.gather(1, INDEX), lambda x: x.gather(1, t(INDEX))),
    Case("index", lambda x: x[:, [0, 2, 2]], lambda x: x[:, [0, 2, 2]]),
    Case("mask", lambda x: x[CONDITION], lambda x: x[t(CONDITION)]),
    Case("softmax", lambda x: F.softmax(x, 0), lambda x: TF.softmax(x, 0)),
    Case("log_softmax", F.log_softmax, lambda x: TF.log_softmax(x, -1)),
    Case("cross_entropy", lambda x: F.cross_entropy(x, LABELS), lambda x: TF.cross_entropy(x, t(LABELS)), ((5, 3),)),
    Case("cross_entropy ignore", lambda x: F.cross_entropy(x, SKIPPING), lambda x: TF.cross_entropy(x, t(SKIPPING)),
         ((5, 3),)),
    Case("cross_entropy smooth", lambda x: F.cross_entropy(x, SKIPPING, label_smoothing=0.1),
         lambda x: TF.cross_entropy(x, t(SKIPPING), label_smoothing=0.1), ((5, 3),)),
    Case("nll_loss", lambda x: F.nll_loss(x, LABELS), lambda x: TF.nll_loss(x, t(LABELS)), ((5, 3),)),
    Case("mse_loss", F.mse_loss, TF.mse_loss, ((3, 4), (3, 4))),
    Case("bce with logits", lambda x: F.binary_cross_entropy_with_logits(x, CONDITION * 1.0),
         lambda x: TF.binary_cross_entropy_with_logits(x, t(CONDITION * 1.0).to(x.dtype))),
    Case("embedding", lambda w: F.embedding(TABLE, w), lambda w: TF.embedding(t(TABLE), w), ((4, 3),)),
    Case("linear", F.linear, TF.linear, ((2, 5, 3), (4, 3), (4,))),
    Case("layer_norm", F.layer_norm, lambda x, w, b: TF.layer_norm(x, (4,), w, b), ((2, 3, 4), (4,), (4,))),
    Case("rms_norm", lambda x, w: F.rms_norm(x, w, 1e-5), lambda x, w: TF.rms_norm(x, (4,), w, 1e-5),
         ((2, 3, 4), (4,))),
    Case("conv2d", lambda x, w, b: F.conv2d(x, w, b, (2, 1), 1, (1, 2)),
         lambda x, w, b: TF.conv2d(x, w, b, (2, 1), 1, (1, 2)), ((2, 3, 5, 6), (4, 3, 3, 2), (4,))),
    Case("conv1d", lambda x, w, b: F.conv1d(x, w, b, 2, 1), lambda x, w, b: TF.conv1d(x, w, b, 2, 1),
         ((2, 3, 7), (4, 3, 3), (4,))),
    Case("max_pool2d", lambda x: F.max_pool2d(x, 2, 1, 1), lambda x: TF.max_pool2d(x, 2, 1, 1), ((1, 2, 3, 4),)),
    Case("avg_pool2d", lambda x: F.avg_pool2d(x, (2, 3), 1, 1), lambda x: TF.avg_pool2d(x, (2, 3), 1, 1),
         ((1, 2, 3, 4),)),
    Case("attention", F.scaled_dot_product_attention, TF.scaled_dot_product_attention, ((2, 3, 4),) * 3),
    Case("attention causal", lambda *x: F.scaled_dot_product_attention(*x, is_causal=True),
         lambda *x: TF.scaled_dot_product_attention(*x, is_causal=True), ((2, 3, 4),) * 3),
    Case("attention masked", lambda *x: F.scaled_dot_product_attention(*x, attn_mask=VISIBLE),
         lambda *x: TF.scaled_dot_product_attention(*x, attn_mask=t(VISIBLE)), ((2, 3, 4),) * 3),
    Case("blockwise attention", lambda *x: F.blockwise_attention(*x, is_causal=True, block=2),
         lambda *x: TF.scaled_dot_product_attention(*x, is_causal=True), ((2, 5, 4),) * 3),
]  # fmt: skip


def assert_close(ours: Any, theirs: Any, dtype: type) -> float:
    """Compare, relative to the largest magnitude; returns the difference."""
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE[dtype] * scale)
    return float(np.abs(ours - expected).max(initial=0.0)) / scale


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_values_and_gradients(case: Case, dtype: type, parity: Callable[..., None]) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in case.shapes]
    if case.positive:
        arrays = [np.abs(array) + dtype(0.5) for array in arrays]
    ours = [mg.Tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    out, expected = case.ours(*ours), case.theirs(*theirs)
    differences = [assert_close(out.data, expected, dtype)]
    cotangent = rng.standard_normal(expected.shape).astype(dtype)
    out.backward(cotangent)
    expected.backward(torch.tensor(cotangent))
    differences += [assert_close(a.grad.data, b.grad, dtype) for a, b in zip(ours, theirs, strict=True)]
    parity("operation, loss", case.name, dtype, max(differences))


def copy_parameters(ours: Any, theirs: Any) -> None:
    """Give PyTorch's module our parameters, in the order of both."""
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.shape == tuple(b.shape)
        b.data = torch.tensor(a.data)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("make", "theirs", "shape"),
    [
        (lambda d: nn.Linear(4, 3, dtype=d), lambda: torch.nn.Linear(4, 3), (5, 4)),
        (lambda d: nn.Conv2d(2, 3, (3, 2), 2, 1, dtype=d), lambda: torch.nn.Conv2d(2, 3, (3, 2), 2, 1), (2, 2, 6, 5)),
        (lambda d: nn.Conv1d(2, 3, 3, dtype=d), lambda: torch.nn.Conv1d(2, 3, 3), (2, 2, 6)),
        (lambda d: nn.LayerNorm(4, dtype=d), lambda: torch.nn.LayerNorm(4), (5, 4)),
        (lambda d: nn.BatchNorm1d(4, dtype=d), lambda: torch.nn.BatchNorm1d(4), (5, 4)),
        (lambda d: nn.BatchNorm2d(2, dtype=d), lambda: torch.nn.BatchNorm2d(2), (3, 2, 4, 4)),
        (lambda d: nn.RNNCell(4, 3, dtype=d), lambda: torch.nn.RNNCell(4, 3), (5, 4)),
        (lambda d: nn.LeNet(8, dtype=d), lambda: torch.nn.Sequential(
            torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
            torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)), (2, 1, 8, 8)),
    ],
)  # fmt: skip
def test_layers(make: Any, theirs: Any, shape: tuple[int, ...], dtype: type, parity: Callable[..., None]) -> None:
    differences = []
    ours, theirs = make(dtype), theirs().to(torch.float64 if dtype == np.float64 else torch.float32)
    copy_parameters(ours, theirs)
    rng = np.random.default_rng(1)
    for _ in range(2):  # twice, for the running statistics
        x = rng.standard_normal(shape).astype(dtype)
        out, expected = ours(mg.Tensor(x)), theirs(torch.tensor(x))
        differences.append(assert_close(out.data, expected, dtype))
        ours.zero_grad()
        theirs.zero_grad()
        cotangent = rng.standard_normal(expected.shape).astype(dtype)
        out.backward(cotangent)
        expected.backward(torch.tensor(cotangent))
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            differences.append(assert_close(a.grad.data, b.grad, dtype))
    for name, array in ours.named_buffers():
        np.testing.assert_allclose(array.reshape(-1), dict(theirs.named_buffers())[name].numpy().reshape(-1), rtol=1e-5)
    x = rng.standard_normal(shape).astype(dtype)
    differences.append(assert_close(ours.eval()(mg.Tensor(x)).data, theirs.eval()(torch.tensor(x)), dtype))
    parity("layer, model", type(ours).__name__, dtype, max(differences))


def test_lstm_cell() -> None:
    ours, theirs = nn.LSTMCell(4, 3, dtype=np.float64), torch.nn.LSTMCell(4, 3).double()
    copy_parameters(ours, theirs)
    x = np.random.default_rng(0).standard_normal((6, 5, 4))
    state, expected = None, None
    for step in x:
        state, expected = ours(mg.Tensor(step), state), theirs(torch.tensor(step), expected)
    for a, b in zip(state, expected, strict=True):
        assert_close(a.data, b, np.float64)


def test_a_second_derivative() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4))
    ours, theirs = mg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    (first,) = mg.grad(F.gelu(F.softmax(ours)).sum(), ours, create_graph=True)
    (expected,) = torch.autograd.grad(TF.gelu(TF.softmax(theirs, -1)).sum(), theirs, create_graph=True)
    (first * first).sum().backward()
    (expected * expected).sum().backward()
    assert_close(ours.grad.data, theirs.grad, np.float64)


def test_a_gpt_with_gpt2s_code_in_pytorch() -> None:
    """A forward written with PyTorch's functions on our weights: every layer in its place."""
    shape = nn.GPTConfig(13, 6, n_layer=2, n_head=2, n_embd=8)
    model = nn.GPT(shape, rng=np.random.default_rng(0), dtype=np.float64)
    tokens = np.random.default_rng(1).integers(0, 13, (3, 6))
    p = {name: torch.tensor(array, requires_grad=True) for name, array in model.state_dict().items()}
    x = p["token_embedding.weight"][t(tokens)] + p["position_embedding.weight"][:6]
    for layer in range(2):
        b = {name.split(".", 2)[2]: value for name, value in p.items() if name.startswith(f"blocks.{layer}.")}
        h = TF.layer_norm(x, (8,), b["norm_1.weight"], b["norm_1.bias"])
        q, k, v = (h @ b["attention.qkv.weight"].T + b["attention.qkv.bias"]).split(8, -1)
        heads = [part.view(3, 6, 2, 4).transpose(1, 2) for part in (q, k, v)]
        a = TF.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).reshape(3, 6, 8)
        x = x + a @ b["attention.projection.weight"].T + b["attention.projection.bias"]
        h = TF.layer_norm(x, (8,), b["norm_2.weight"], b["norm_2.bias"])
        h = TF.gelu(h @ b["expand.weight"].T + b["expand.bias"], approximate="tanh")
        x = x + h @ b["contract.weight"].T + b["contract.bias"]
    logits = TF.layer_norm(x, (8,), p["norm.weight"], p["norm.bias"]) @ p["token_embedding.weight"].T
    loss = TF.cross_entropy(logits.view(-1, 13), t(tokens).view(-1))
    loss.backward()
    ours = model.loss(tokens, tokens)
    ours.backward()
    assert ours.item() == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in model.named_parameters():
        assert_close(parameter.grad.data, p[name].grad, np.float64)
