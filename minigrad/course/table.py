"""The exercises, one row each.

A new one is a row here and a folder `exercises/exNN_name/` with its text (text.md), its check (check.py), its
wrong solutions (mutants/*.py) and its picture (picture.py); docs/course/for-teachers.md tells how to write them.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent / "exercises"


class Exercise(NamedTuple):
    """One exercise.

    Args:
        number: its place in the order, from 1.
        name: what to call it in a file name.
        title: what to call it in a sentence.
        asks: what the student is to do, in one sentence.
        paths: dotted paths of the functions or methods to write.
        hints: three, each giving away more than the one before.
        needs: numbers of the exercises it stands on.
        budget: what a solution may cost, in words; the check measures it.
        mpi_ranks: numbers of real MPI processes it is checked on too.
        seconds: how long a whole check may take.
        points: what it is worth.
    """

    number: int
    name: str
    title: str
    asks: str
    paths: tuple[str, ...]
    hints: tuple[str, str, str]
    needs: tuple[int, ...] = ()
    budget: str = ""
    mpi_ranks: tuple[int, ...] = ()
    seconds: float = 10.0
    points: float = 10.0

    @property
    def key(self) -> str:
        """Such as "ex06": its pytest marker, and its name in a notebook."""
        return f"ex{self.number:02}"

    @property
    def folder(self) -> Path:
        """Where its text, check, mutants and picture are."""
        return FOLDER / f"{self.key}_{self.name}"

    @property
    def text(self) -> str:
        """What the student reads, in Markdown."""
        return (self.folder / "text.md").read_text(encoding="utf-8")


EXERCISES = (
    Exercise(
        1, "chain_rule", "the chain rule and the topological order",
        "Pull a gradient back through tanh, put a graph in an order in which every gradient is complete before it "
        "is passed on, and add up what arrives at a leaf.",
        (
            "minigrad.ops.elementwise.Tanh.backward",
            "minigrad.autograd.topological_order",
            "minigrad.tensor.Tensor.accumulate_grad",
        ),
        (
            "A value that is used twice gets two gradients, and its own gradient is their sum. So nothing may be "
            "passed on from a node before all that use it have been visited.",
            "Depth first: a node is finished once all its parents are finished. In the order of finishing, parents "
            "come first; you need the reverse. Keep a set of the identities you have seen, and a stack of your own: "
            "a chain of 3,000 operations is longer than Python lets functions call each other.",
            "Push (node, False). When you pop it unseen, push (node, True) and then (parent, False) for each parent "
            "that is not None; when you pop (node, True), append the node. Reverse at the end. In accumulate_grad "
            "copy the first gradient (another node may hold the same array) and add the later ones.",
        ),
    ),
    Exercise(
        2, "broadcasting", "the gradient of broadcasting",
        "Sum a gradient over the axes along which its operand was repeated.",
        ("minigrad.ops.shape.unbroadcast",),
        (
            "Broadcasting uses one number many times. What does exercise 01 say of a value that is used many times?",
            "Two things can have happened: axes were added in front, and axes of length 1 were stretched. Both are "
            "to be summed over, and the result must have the operand's shape again.",
            "added = grad.ndim - len(shape); the added axes are range(added). Axis i of `shape` is axis i + added "
            "of `grad`, and was stretched if its length is 1 in one and not in the other. Sum over all of these, "
            "then reshape.",
        ),
        needs=(1,),
    ),
    Exercise(
        3, "softmax_cross_entropy", "softmax and cross-entropy backward",
        "Write the two gradients that every classifier starts from, without a Jacobian.",
        ("minigrad.kernels.cpu.softmax_backward", "minigrad.kernels.cpu.cross_entropy_backward"),
        (
            "Every output of a softmax depends on every input of its row: raising one lowers the others.",
            "dy_i/dx_j = y_i (1[i = j] - y_j). Multiply by grad_i and sum over i; what is left needs one sum a row. "
            "For cross-entropy put in the loss -log y_target, and nearly everything cancels.",
            "dx = y (grad - sum(grad y)), the sum along `axis` with its length kept at 1. "
            "dlogits = (softmax(logits) - one_hot(targets)) times grad, a row each, where "
            "softmax(logits) = exp(logits - log_sum).",
        ),
    ),
    Exercise(
        4, "gelu", "GELU in both forms",
        "Write GELU and its derivative, in the exact form and in the tanh form.",
        ("minigrad.kernels.cpu.gelu_forward", "minigrad.kernels.cpu.gelu_backward"),
        (
            "Given to you in the same file: normal_cdf(x) returns Phi(x) and exp(-x^2/2), gelu_tanh_factor(x) returns "
            "tanh(u). The two forms differ by less than a thousandth, so that a backward of the wrong form looks right "
            "in a plot. Look at `approximate` in both functions.",
            "Product rule. Exact: (x Phi)' = Phi + x phi, with phi(x) = exp(-x^2/2) / sqrt(2 pi). tanh: "
            "(x/2 (1 + T))' = (1 + T)/2 + x/2 T', with T' = (1 - T^2) du/dx.",
            "du/dx = SQRT_2_OVER_PI (1 + 3 CUBIC x^2). Do not forget the factor grad, and do not write to x or grad: "
            "they belong to the caller.",
        ),
        needs=(1,),
    ),
    Exercise(
        5, "optimizers", "momentum and AdamW",
        "Write the two update rules that train nearly everything, in place, with their state.",
        ("minigrad.optim.rules.sgd", "minigrad.optim.rules.adamw"),
        (
            "The state must survive the call: it lives in the dict `state`, filled on the first call. `param` is "
            "written in place, `grad` is not written.",
            "SGD: v = momentum v + grad, then param -= lr v; weight decay adds weight_decay * param to the gradient "
            "first. AdamW: m and v are running means of grad and grad^2, both divided by 1 - beta^t before use, and "
            "weight decay does not pass through them.",
            "param *= 1 - lr weight_decay; param -= lr m_hat / (sqrt(v_hat) + eps), with m_hat = m / (1 - beta1^t) "
            "and v_hat = v / (1 - beta2^t). Nesterov's step is grad + momentum v, with the new v.",
        ),
    ),
    Exercise(
        6, "ring_all_reduce", "the ring all-reduce",
        "Sum an array over all ranks by passing chunks around a ring: reduce-scatter, then all-gather.",
        (
            "parallel.collectives.ring.ring_reduce_scatter",
            "parallel.collectives.ring.ring_all_gather",
            "parallel.collectives.ring.ring_all_reduce",
        ),
        (
            "Draw four ranks in a circle and four chunks on each. In every step each rank sends one chunk to the right "
            "and takes one from the left. Which chunk must a rank send in the next step? The one that just arrived.",
            "If everybody sends first, nobody receives: use comm.Sendrecv. Rank r must end with chunk r complete, so "
            "it starts by sending chunk r - 1, and adds its own part to chunk r - 2 - step as it arrives. "
            "chunk(n, p, i) and _flat(comm, x) are given to you.",
            "Reduce-scatter: scratch = np.empty(-(-n // p), dtype); passed = flat[chunk(n, p, rank - 1)]; p - 1 "
            "times: own = flat[chunk(n, p, rank - 2 - step)]; Sendrecv passed to the right, scratch[:own.size] from "
            "the left; own += scratch[:own.size]; passed = own. All-gather is the same without the addition: it "
            "starts with chunk `rank` and receives straight into chunk rank - 1 - step.",
        ),
        budget="exactly p - 1 messages a rank in each phase, none longer than ceil(n/p) elements",
        mpi_ranks=(3,),
    ),
    Exercise(
        7, "staleness", "the staleness recursion and its critical step",
        "Run gradient descent on gradients that are tau updates old, and say how large a step it bears.",
        (
            "parallel.studies.staleness.recursion.iterate",
            "parallel.studies.staleness.theory.critical_step",
        ),
        (
            "w[t+1] = w[t] - step w[t-tau], and w[t] = start for t < 0. Write it for one tau and one step first, with "
            "a list; then let both be arrays.",
            "Only the last max(tau) + 1 values are needed: keep w[t] in row t mod (max(tau) + 1) of an array. For the "
            "critical step put w[t] = z^t with |z| = 1 into the recursion: z - 1 = -step z^-tau.",
            "With z = exp(i theta): |z - 1| = 2 sin(theta/2) = step, and the angles agree at "
            "theta = pi / (2 tau + 1). In iterate, broadcast tau and step together, yield copies, and keep a weight "
            "that has reached LIMIT in magnitude where it is (np.clip, np.where).",
        ),
    ),
)  # fmt: skip


def exercise(name: str | int) -> Exercise:
    """The exercise called `name`: 6, "6", "06", "ex06" or "ring_all_reduce".

    Raises:
        ValueError: there is none.
    """
    text = str(name).strip().lower()
    digits = text.removeprefix("ex").partition("_")[0]
    for row in EXERCISES:
        if text == row.name or (digits.isdecimal() and int(digits) == row.number):
            return row
    near = get_close_matches(text, [row.name for row in EXERCISES], n=1, cutoff=0.4)
    numbers = f"{EXERCISES[0].number:02} to {EXERCISES[-1].number:02}"
    advice = f"did you mean {near[0]}?" if near else f"they are numbered {numbers}"
    raise ValueError(f"exercise={str(name)!r} is not one of the exercises: {advice}")
