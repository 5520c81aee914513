"""Every optimizer rule as a loop over Python numbers, written from its paper: the oracle of the arrays.

`NAIVE[name](param, grads, lrs, **settings)` takes a matrix and for each step a gradient (matrices are lists of rows)
and a learning rate, and returns the matrix after the last step. Letters are the papers'.
"""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, sqrt
from typing import Any

Matrix = list[list[float]]


def number_by_number(one: Callable[..., float]) -> Callable[..., Matrix]:
    """A rule that moves each number by itself, for a matrix."""

    def whole(param: Matrix, grads: list[Matrix], lrs: list[float], **settings: Any) -> Matrix:
        return [
            [one(x, [grad[i][j] for grad in grads], lrs, **settings) for j, x in enumerate(row)]
            for i, row in enumerate(param)
        ]

    return whole


@number_by_number
def sgd(x, grads, lrs, momentum=0.0, weight_decay=0.0, nesterov=False):
    """Sutskever and others, 2013, in PyTorch's form."""
    v = 0.0
    for g, lr in zip(grads, lrs, strict=True):
        g += weight_decay * x
        v = momentum * v + g
        x -= lr * (g + momentum * v if nesterov else v)
    return x


@number_by_number
def averaged_momentum(x, grads, lrs, beta=0.9, weight_decay=0.0):
    """The first moment of Kingma and Ba, 2015, uncorrected."""
    v = 0.0
    for g, lr in zip(grads, lrs, strict=True):
        v = beta * v + (1 - beta) * (g + weight_decay * x)
        x -= lr * v
    return x


@number_by_number
def adagrad(x, grads, lrs, eps=1e-10, weight_decay=0.0):
    """Duchi, Hazan and Singer, 2011."""
    squares = []
    for g, lr in zip(grads, lrs, strict=True):
        g += weight_decay * x
        squares.append(g**2)
        x -= lr * g / (sqrt(sum(squares)) + eps)
    return x


@number_by_number
def rmsprop(x, grads, lrs, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    """Tieleman and Hinton, 2012; Graves, 2013, equations 38 to 45 with eps outside the root."""
    n = mean = delta = 0.0
    for g, lr in zip(grads, lrs, strict=True):
        g += weight_decay * x
        n = alpha * n + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        delta = momentum * delta + g / (sqrt(n - mean**2 if centered else n) + eps)
        x -= lr * delta
    return x


@number_by_number
def adam(x, grads, lrs, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, bias_correction=True):
    """Kingma and Ba, 2015, algorithm 1."""
    (beta1, beta2), m, v = betas, 0.0, 0.0
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        g += weight_decay * x
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t) if bias_correction else m
        v_hat = v / (1 - beta2**t) if bias_correction else v
        x -= lr * m_hat / (sqrt(v_hat) + eps)
    return x


@number_by_number
def adamw(x, grads, lrs, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    """Loshchilov and Hutter, 2019, algorithm 2, with the decay times lr as in PyTorch."""
    (beta1, beta2), m, v = betas, 0.0, 0.0
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        x -= lr * (m_hat / (sqrt(v_hat) + eps) + weight_decay * x)
    return x


@number_by_number
def lion(x, grads, lrs, betas=(0.9, 0.99), weight_decay=0.0):
    """Chen and others, 2023, algorithm 2."""
    (beta1, beta2), m = betas, 0.0
    for g, lr in zip(grads, lrs, strict=True):
        c = beta1 * m + (1 - beta1) * g
        x -= lr * ((copysign(1.0, c) if c else 0.0) + weight_decay * x)
        m = beta2 * m + (1 - beta2) * g
    return x


def length(matrix: Matrix) -> float:
    """The 2-norm."""
    return sqrt(sum(x**2 for row in matrix for x in row))


def lars(w, grads, lrs, momentum=0.9, weight_decay=0.0, trust_coefficient=1e-3):
    """You, Gitman and Ginsburg, 2017, algorithm 1."""
    v = [[0.0 for _ in row] for row in w]
    for g, lr in zip(grads, lrs, strict=True):
        local_lr = trust_coefficient * length(w) / (length(g) + weight_decay * length(w))
        v = [
            [momentum * b + lr * local_lr * (c + weight_decay * a) for a, b, c in zip(*rows, strict=True)]
            for rows in zip(w, v, g, strict=True)
        ]
        w = [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(w, v, strict=True)]
    return w


def lamb(x, grads, lrs, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01):
    """You and others, 2020, algorithm 2, phi the identity."""
    beta1, beta2 = betas
    m = [[0.0 for _ in row] for row in x]
    v = [[0.0 for _ in row] for row in x]
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        u = [[0.0 for _ in row] for row in x]
        for i, row in enumerate(g):
            for j, g_ij in enumerate(row):
                m[i][j] = beta1 * m[i][j] + (1 - beta1) * g_ij
                v[i][j] = beta2 * v[i][j] + (1 - beta2) * g_ij**2
                r = (m[i][j] / (1 - beta1**t)) / (sqrt(v[i][j] / (1 - beta2**t)) + eps)
                u[i][j] = r + weight_decay * x[i][j]
        ratio = length(x) / length(u)
        x = [[a - lr * ratio * b for a, b in zip(*rows, strict=True)] for rows in zip(x, u, strict=True)]
    return x


def adafactor(
    x, grads, lrs, beta2_decay=-0.8, eps=(1e-30, 1e-3), d=1.0, weight_decay=0.0, relative_step=True
):
    """Shazeer and Stern, 2018, algorithm 4 (matrices), with sums as printed there."""
    n, m = len(x), len(x[0])
    row_sums, column_sums = [0.0] * n, [0.0] * m
    for t, (g, lr) in enumerate(zip(grads, lrs, strict=True), start=1):
        beta2 = 1 - t**beta2_decay
        alpha = max(eps[1], length(x) / sqrt(n * m)) * min(lr, 1 / sqrt(t)) if relative_step else lr
        for i in range(n):
            row_sums[i] = beta2 * row_sums[i] + (1 - beta2) * sum(g[i][j] ** 2 + eps[0] for j in range(m))
        for j in range(m):
            column_sums[j] = beta2 * column_sums[j] + (1 - beta2) * sum(g[i][j] ** 2 + eps[0] for i in range(n))
        u = [[g[i][j] / sqrt(row_sums[i] * column_sums[j] / sum(row_sums)) for j in range(m)] for i in range(n)]
        clip = max(1.0, length(u) / sqrt(n * m) / d)
        x = [[x[i][j] * (1 - lr * weight_decay) - alpha * u[i][j] / clip for j in range(m)] for i in range(n)]
    return x


NAIVE: dict[str, Callable[..., Matrix]] = {
    "sgd": sgd,
    "averaged_momentum": averaged_momentum,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
    "adafactor": adafactor,
    "lion": lion,
    "lars": lars,
    "lamb": lamb,
}

# What each is tried with, besides its defaults.
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "sgd": (
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "averaged_momentum": ({"beta": 0.5}, {"weight_decay": 0.1}),
    "adagrad": ({"weight_decay": 0.1}, {"eps": 0.1}),
    "rmsprop": (
        {"alpha": 0.9, "weight_decay": 0.1},
        {"momentum": 0.9},
        {"centered": True},
        {"centered": True, "momentum": 0.5, "eps": 0.1},
    ),
    "adam": ({"weight_decay": 0.1}, {"betas": (0.8, 0.95), "eps": 0.1}, {"bias_correction": False}),
    "adamw": ({"weight_decay": 0.0}, {"betas": (0.8, 0.95), "weight_decay": 0.5, "eps": 0.1}),
    "adafactor": (
        {"weight_decay": 0.1},
        {"relative_step": False},
        {"d": 2.0, "beta2_decay": -0.5, "eps": (0.01, 3.0)},
    ),
    "lion": ({"betas": (0.5, 0.9), "weight_decay": 0.1},),
    "lars": ({"momentum": 0.0}, {"weight_decay": 0.1, "trust_coefficient": 0.02}),
    "lamb": ({"weight_decay": 0.0}, {"betas": (0.8, 0.95), "weight_decay": 0.5, "eps": 0.1}),
}

CASES = [(name, settings) for name in NAIVE for settings in ({}, *SETTINGS[name])]
