"""Exercise 11: the gradient of a large batch from small pieces of unequal size."""

from collections.abc import Iterator
from typing import Any

import numpy as np

Case = dict[str, Any]


def case(counts: Any, scale: float = 1.0, extra: int = 0, start: float = 0.0, seed: int = 0) -> Case:
    """One call, with a piece for each count and `extra` ones more; the gradient is `start` before, or None."""
    return {
        "function": "accumulate_gradients", "counts": list(counts), "scale": scale, "extra": extra, "start": start,
        "seed": seed,
    }  # fmt: skip


CASES: list[Case] = [
    case([1]),
    case([2]),
    case([2, 2]),
    case([1, 3]),
    case([3, 1, 2]),
    case([2], scale=8.0),
    case([1, 2], scale=8.0),
    case([1, 2], start=1.0),
    case([2, 0, 1]),
    case([0, 0, 3]),
    case([0, 0]),
    case([2, -1]),
    case([1, 2], extra=1),
    case([1, 2], extra=-1),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases."""
    counts = st.lists(st.integers(0, 4), min_size=1, max_size=4)
    return {
        "accumulate_gradients": st.builds(
            lambda counts, scale, start, seed: case(counts, scale, 0, start, seed),
            counts, st.sampled_from([1.0, 8.0]), st.sampled_from([0.0, 1.0]), st.integers(0, 1000),
        )
    }  # fmt: skip


def run(case: Case) -> Any:
    """Call the function on a linear model of two weights, and watch when each piece is taken."""
    from minigrad import Tensor
    from minigrad.train.accumulation import accumulate_gradients

    weights = Tensor(np.array([0.5, -1.0]), requires_grad=True)
    weights.grad = Tensor(np.full(2, case["start"])) if case["start"] else None
    watch = Watch(weights)

    def loss_function(piece: Any) -> Any:
        features, targets = piece
        watch.one_more("losses")
        return ((Tensor(features) @ weights - Tensor(targets)) ** 2).mean()

    def taken() -> Iterator[Any]:
        """The pieces, as a generator, so that they can be had one at a time."""
        for piece in pieces(case):
            if len(piece[1]):  # one without targets need not change the gradient
                watch.one_more("pieces")
            yield piece

    mean = accumulate_gradients(loss_function, taken(), case["counts"], scale=case["scale"])
    return {
        "gradient": None if weights.grad is None else np.array(weights.grad.data),
        "mean loss": mean,
        "most losses that waited for backward() at once": watch.most["losses"],
        "most micro-batches in memory at once": watch.most["pieces"],
    }


class Watch:
    """Counts what was made since the weights' gradient last changed, that is since the last backward()."""

    def __init__(self, weights: Any) -> None:
        self.weights, self.last = weights, self.gradient(weights)
        self.waiting, self.most = {"losses": 0, "pieces": 0}, {"losses": 0, "pieces": 0}

    @staticmethod
    def gradient(weights: Any) -> list[float] | None:
        return None if weights.grad is None else np.array(weights.grad.data).tolist()

    def one_more(self, kind: str) -> None:
        """Something of this kind is about to be made."""
        if (gradient := self.gradient(self.weights)) != self.last:
            self.waiting = {"losses": 0, "pieces": 0}
        self.last = gradient
        self.waiting[kind] += 1
        self.most[kind] = max(self.most[kind], self.waiting[kind])


def pieces(case: Case) -> list[Any]:
    """(features, targets) of each micro-batch."""
    rng = np.random.default_rng(case["seed"])
    counts = [max(0, count) for count in case["counts"]] + [2] * case["extra"]
    made = [(rng.standard_normal((count, 2)), rng.standard_normal(count)) for count in counts]
    return made[: len(case["counts"]) + case["extra"]]


def numeric(case: Case) -> Any:
    """All pieces as one batch, by hand."""
    if case["extra"] or sum(case["counts"]) < 1 or min(case["counts"]) < 0:
        return None
    features = np.concatenate([features for features, _ in pieces(case)])
    targets = np.concatenate([targets for _, targets in pieces(case)])
    errors = features @ np.array([0.5, -1.0]) - targets
    gradient = case["start"] + case["scale"] * 2 * features.T @ errors / len(errors)
    return {"gradient": gradient, "mean loss": np.asarray((errors**2).mean())}


def call(case: Case) -> str:
    """What was called."""
    scale = f", scale={case['scale']:g}" if case["scale"] != 1 else ""
    return f"accumulate_gradients(loss_function, micro_batches, counts={case['counts']}{scale})"


def inputs(case: Case) -> str:
    """With what."""
    number = len(case["counts"]) + case["extra"]
    before = "a gradient of ones is there already" if case["start"] else "no gradient before"
    return (
        f"{number} micro-batch{'es' * (number != 1)}, loss_function = mean of (features @ weights - target)^2, {before}"
    )
