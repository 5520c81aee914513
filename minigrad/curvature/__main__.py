"""`python -m minigrad.curvature DIR`: draw the pictures of docs/curvature.md, and print their numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigrad.curvature import plots
from minigrad.curvature.products import Hessian, difference_errors
from minigrad.curvature.sharpness import gradient_descent, small_regression
from minigrad.curvature.spectrum import lanczos, spectral_density
from minigrad.curvature.trace import hutchinson_trace
from minigrad.tensor import Tensor

RATES = (0.05, 0.1, 0.2)
STEPS = 8000  # of gradient descent: the slowest rate needs about 5,000 to reach its edge


def known_quadratic(size: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], Hessian]:
    """(eigenvalues, Hessian) of f(x) = <x, A x> / 2 with A = Q diag(eigenvalues) Q^T and a random rotation Q.

    The spectrum is like a net's: most of it a bulk near zero, and three eigenvalues far out.
    """
    eigenvalues = np.sort(np.concatenate([rng.gamma(2.0, 0.5, size - 3), [7.0, 8.5, 10.0]]))
    rotation, _ = np.linalg.qr(rng.standard_normal((size, size)))
    matrix = Tensor((rotation * eigenvalues) @ rotation.T)
    x = Tensor(rng.standard_normal((size, 1)), requires_grad=True)
    return eigenvalues, Hessian(lambda: (x * (matrix @ x)).sum() * 0.5, [x])


def power_errors(hessian: Hessian, top: float, steps: int, rng: np.random.Generator) -> list[float]:
    """Relative error of power iteration after each product."""
    vector = rng.standard_normal(hessian.shape[0])
    errors = []
    for _ in range(steps):
        vector = vector / np.linalg.norm(vector)
        product = hessian @ vector
        errors.append(abs(float(vector @ product) - top) / top)
        vector = product
    return errors


def lanczos_errors(hessian: Hessian, top: float, steps: int, rng: np.random.Generator) -> list[float]:
    """Relative error of the largest Ritz value after each product: the leading blocks of one tridiagonal matrix."""
    matrix = lanczos(hessian, steps, rng).matrix()
    return [abs(float(np.linalg.eigvalsh(matrix[:k, :k])[-1]) - top) / top for k in range(1, len(matrix) + 1)]


def draw_differences(folder: Path) -> None:
    """The U of the difference quotient's error."""
    rng = np.random.default_rng(0)
    net, loss = small_regression(rng)
    parameters = list(net.parameters())
    vector = rng.standard_normal(sum(p.numel() for p in parameters))
    vector /= np.linalg.norm(vector)
    steps = np.geomspace(1e-14, 1.0, 57)
    curves = {
        "forward: (g(x + eps v) - g(x)) / eps": difference_errors(loss, parameters, vector, list(steps)),
        "central: (g(x + eps v) - g(x - eps v)) / 2 eps": difference_errors(
            loss, parameters, vector, list(steps), central=True
        ),
    }
    plots.difference_error(steps, curves, folder / "hvp-error.png", precision=float(np.finfo(np.float64).eps))
    for label, errors in curves.items():
        print(f"{label}: best error {errors.min():.1e} at eps {steps[errors.argmin()]:.1e}")


def draw_quadratic(folder: Path) -> None:
    """The known quadratic: top eigenvalue, density, trace."""
    rng = np.random.default_rng(0)
    eigenvalues, hessian = known_quadratic(200, rng)
    top = float(eigenvalues[-1])
    errors = {
        "power iteration": power_errors(hessian, top, 60, rng),
        "Lanczos": lanczos_errors(hessian, top, 60, rng),
    }
    density = spectral_density(hessian, rng, probes=8, steps=60)
    plots.convergence_and_spectrum(errors, density, eigenvalues, folder / "lanczos.png")
    reached = next(step for step, error in enumerate(errors["Lanczos"], 1) if error < 1e-8)
    print(f"Lanczos: relative error of the top eigenvalue below 1e-8 after {reached} products of 200")
    print(f"power iteration: {errors['power iteration'][-1]:.1e} after {len(errors['power iteration'])}")
    estimate = hutchinson_trace(hessian, rng, probes=100)
    spread = f"{estimate.value:.1f} +- {estimate.standard_error:.1f}"
    print(f"trace: {spread} from {estimate.probes} probes, exact {eigenvalues.sum():.1f}")


def draw_edge(folder: Path) -> None:
    """Gradient descent at three learning rates, and the spectrum before and after one of them."""
    runs, densities = {}, {}
    for lr in RATES:
        rng = np.random.default_rng(0)
        net, loss = small_regression(rng)
        if lr == RATES[-1]:
            densities["before training"] = spectral_density(Hessian(loss, net.parameters()), rng)
        runs[lr] = gradient_descent(loss, net.parameters(), lr, STEPS, rng, every=40)
        late = np.array([record.sharpness for record in runs[lr][-20:]])
        print(f"lr {lr:g}: sharpness {late.mean():.2f} over the last 800 steps, 2/lr = {2 / lr:g}")
        if lr == RATES[-1]:
            densities[f"after {STEPS:,} steps at lr = {lr:g}"] = spectral_density(Hessian(loss, net.parameters()), rng)
    plots.edge_of_stability(runs, folder / "edge-of-stability.png")
    plots.net_spectrum(densities, folder / "net-spectrum.png")


def main() -> None:
    """Draw everything into the folder that was named, or into `curvature`."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "curvature")
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (draw_differences, draw_quadratic, draw_edge):
        draw(folder)
    print(f"written to {folder}/: hvp-error.png, lanczos.png, edge-of-stability.png, net-spectrum.png")


if __name__ == "__main__":
    main()
