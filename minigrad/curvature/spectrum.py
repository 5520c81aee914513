"""Eigenvalues of a symmetric operator that is known by its products: power iteration and Lanczos.

An operator here is anything with a `shape` (n, n) and `operator @ vector`: a NumPy matrix or a `Hessian`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]


class Operator(Protocol):
    """A symmetric matrix, known by what it does to a vector."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, n)."""

    def __matmul__(self, vector: Vector, /) -> Vector:
        """The product with a vector (n,)."""


@dataclass(frozen=True)
class Eigenpair:
    """An approximate eigenvalue with its vector.

    Attributes:
        value: the eigenvalue.
        vector: (n,), of length 1.
        steps: products with the operator that it took.
        residual: |A v - value v|; an eigenvalue of A lies within this distance of `value`.
    """

    value: float
    vector: Vector
    steps: int
    residual: float


def power_iteration(
    operator: Operator, rng: np.random.Generator, tolerance: float = 1e-6, max_steps: int = 1000
) -> Eigenpair:
    """The eigenvalue largest in magnitude: multiply a vector by the operator again and again.

    Each product stretches the component along the top eigenvector by |lambda_1 / lambda_2| more than any other,
    so the angle to it shrinks by that factor a step, and the error of the value by its square.

    Args:
        operator: symmetric, (n, n).
        rng: source of the first vector.
        tolerance: stop when the residual is below `tolerance |value|`.
        max_steps: stop here in any case; the residual then tells how far it came.

    Returns:
        The pair. Its value is negative if the most negative eigenvalue is the largest in magnitude.

    Raises:
        ValueError: an operator that is not square, max_steps below 1.
    """
    size = checked_size(operator, max_steps, "max_steps")
    vector = unit_vector(size, rng)
    for step in range(1, max_steps + 1):
        product = operator @ vector
        value = float(vector @ product)
        residual = float(np.linalg.norm(product - value * vector))
        if residual <= tolerance * abs(value) or step == max_steps:
            break
        vector = product / np.linalg.norm(product)
    return Eigenpair(value, vector, step, residual)


@dataclass(frozen=True)
class Tridiagonal:
    """What Lanczos leaves: Q^T A Q = T with orthonormal columns Q and a tridiagonal T.

    Attributes:
        diagonal: (k,).
        off_diagonal: (k - 1,).
        basis: (n, k), the columns of Q.
        last: the coupling to the next column, which was not taken; 0 if the space is exhausted.
    """

    diagonal: Vector
    off_diagonal: Vector
    basis: Vector
    last: float

    def matrix(self) -> Vector:
        """T, (k, k)."""
        return np.diag(self.diagonal) + np.diag(self.off_diagonal, 1) + np.diag(self.off_diagonal, -1)

    def eigenvalues(self) -> tuple[Vector, Vector]:
        """(Ritz values (k,) ascending, eigenvectors of T (k, k) in columns)."""
        values, vectors = np.linalg.eigh(self.matrix())
        return values, vectors

    def top(self) -> Eigenpair:
        """The largest Ritz value, its vector, and its residual |A y - value y| = last |s_k|."""
        values, vectors = self.eigenvalues()
        return Eigenpair(
            float(values[-1]), self.basis @ vectors[:, -1], len(values), abs(self.last * float(vectors[-1, -1]))
        )


def lanczos(
    operator: Operator,
    steps: int,
    rng: np.random.Generator,
    *,
    start: Vector | None = None,
    tolerance: float = 0.0,
) -> Tridiagonal:
    """Build an orthonormal basis of v, A v, A^2 v, ... in which the operator is tridiagonal.

    In exact arithmetic three terms are enough, since A q_j is already orthogonal to q_1 .. q_{j-2}. In floating
    point that orthogonality is lost just when an eigenvalue has converged, and copies of it appear. So each new
    column is made orthogonal to all before it, and twice, which is enough.

    Args:
        operator: symmetric, (n, n).
        steps: columns to build, at most n.
        rng: source of the first vector, if `start` is not given.
        start: (n,) first vector, not zero.
        tolerance: stop as soon as the largest Ritz value has a residual below `tolerance |value|`.

    Returns:
        The tridiagonal matrix and the basis. It has fewer columns than `steps` if the space of the powers is
        exhausted: then its eigenvalues are exact.

    Raises:
        ValueError: steps below 1, an operator that is not square, a start of another length or of zeros.

    Cost: one product a step, O(n k^2) for the orthogonality, n k numbers of memory.

    Source: Lanczos, 1950; Golub and Van Loan, Matrix Computations, chapter 10.
    """
    size = checked_size(operator, steps, "steps")
    first = unit_vector(size, rng) if start is None else normalised(start, size)
    basis = first[:, None]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    while True:
        product = operator @ basis[:, -1]
        diagonal.append(float(basis[:, -1] @ product))
        scale = float(np.linalg.norm(product))
        for _ in range(2):
            product = product - basis @ (basis.T @ product)
        coupling = float(np.linalg.norm(product))
        if coupling <= 1e-14 * size * max(scale, abs(diagonal[0])):  # nothing but rounding is left
            coupling = 0.0
        found = Tridiagonal(np.array(diagonal), np.array(off_diagonal), basis, coupling)
        if coupling == 0.0 or len(diagonal) == min(steps, size) or _settled(found, tolerance):
            return found
        off_diagonal.append(coupling)
        basis = np.column_stack([basis, product / coupling])


def _settled(found: Tridiagonal, tolerance: float) -> bool:
    if tolerance == 0.0:
        return False
    top = found.top()
    return top.residual <= tolerance * abs(top.value)


def top_eigenvalue(
    operator: Operator, rng: np.random.Generator, tolerance: float = 1e-6, max_steps: int = 200
) -> Eigenpair:
    """The largest eigenvalue (in value, not in magnitude), by Lanczos.

    Args:
        operator: symmetric, (n, n).
        rng: source of the first vector.
        tolerance: residual relative to the value. The value's own error is smaller: about residual^2 / gap.
        max_steps: most products.

    Returns:
        The pair, with the residual it has.
    """
    return lanczos(operator, max_steps, rng, tolerance=tolerance).top()


@dataclass(frozen=True)
class SpectralDensity:
    """How the eigenvalues are spread, estimated.

    Attributes:
        grid: (m,) eigenvalues.
        density: (m,), whose integral is 1.
        nodes, weights: the estimate before smoothing: point masses that add up to 1.
        width: standard deviation of the Gaussian that each point mass was widened to.
    """

    grid: Vector
    density: Vector
    nodes: Vector
    weights: Vector
    width: float


def spectral_density(
    operator: Operator,
    rng: np.random.Generator,
    *,
    probes: int = 8,
    steps: int = 64,
    width: float | None = None,
    points: int = 600,
) -> SpectralDensity:
    """The density of eigenvalues by stochastic Lanczos quadrature.

    For a random unit vector v the eigenvalues lambda_i carry the weights <v, q_i>^2, which are 1/n on average.
    Lanczos from v replaces this distribution by k point masses, the Ritz values, with the squared first
    components of T's eigenvectors as weights: Gauss's quadrature for it, exact for polynomials up to degree
    2 k - 1. The average over probes, each mass widened to a Gaussian, is the picture.

    Args:
        operator: symmetric, (n, n).
        rng: source of the probes.
        probes: random vectors.
        steps: Lanczos steps for each.
        width: standard deviation of the Gaussians; by default a hundredth of the range.
        points: length of the grid.

    Returns:
        The density.

    Raises:
        ValueError: probes, steps or points below 1.

    Cost: probes * steps products.

    Source: Ubaru, Chen and Saad, 2017; Ghorbani, Krishnan and Xiao, 2019 (for nets).
    """
    if probes < 1 or points < 1:
        raise ValueError(f"probes={probes} and points={points} must be at least 1")
    nodes, weights = [], []
    for _ in range(probes):
        values, vectors = lanczos(operator, steps, rng).eigenvalues()
        nodes.append(values)
        weights.append(vectors[0] ** 2 / probes)
    where, mass = np.concatenate(nodes), np.concatenate(weights)
    span = float(where.max() - where.min()) or 1.0
    sigma = 0.01 * span if width is None else width
    grid = np.linspace(where.min() - 4 * sigma, where.max() + 4 * sigma, points)
    bells = np.exp(-0.5 * ((grid[:, None] - where) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    return SpectralDensity(grid, bells @ mass, where, mass, sigma)


def checked_size(operator: Operator, steps: int, name: str) -> int:
    """The n of an (n, n) operator, refused if it is not square or no step is allowed."""
    if len(operator.shape) != 2 or operator.shape[0] != operator.shape[1]:
        raise ValueError(f"operator has shape {operator.shape}, it must be square")
    if steps < 1:
        raise ValueError(f"{name}={steps} must be at least 1")
    return operator.shape[0]


def unit_vector(size: int, rng: np.random.Generator) -> Vector:
    """A random direction, every one equally likely."""
    return normalised(rng.standard_normal(size), size)


def normalised(vector: Vector, size: int) -> Vector:
    """The vector divided by its length."""
    length = float(np.linalg.norm(vector))
    if np.shape(vector) != (size,) or length == 0.0:
        raise ValueError(f"start has shape {np.shape(vector)} and length {length}, it must be ({size},) and not zero")
    return np.asarray(vector / length)
