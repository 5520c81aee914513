"""Every figure of docs/published.md, computed again: `pytest -m published`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from programs.pipeline_figures import PIPELINE, large_price

from minigrad import Tensor, nn, optim
from minigrad.curvature import gradient_descent, small_regression
from minigrad.graph import SavedActivations
from minigrad.optim import rules
from minigrad.optim.memory import state_bytes
from minigrad.recompute import recompute_sequential
from parallel import Cluster, ring_all_reduce, simulate
from parallel.collectives import recursive_doubling_all_reduce
from parallel.collectives.cost import crossover, recursive_doubling_all_reduce_time, ring_all_reduce_time
from parallel.comm import Ghost
from parallel.sharded import Zero1, Zero2, Zero3, bytes_per_parameter, memory_of
from parallel.studies.overlap import Step, simulated_seconds
from parallel.studies.staleness import (
    characteristic_polynomial,
    critical_step,
    fastest_step,
    implicit_momentum,
    measured_boundary_by_running,
    measured_boundary_with_momentum,
    served_boundary,
    spectral_radius,
)
from parallel.studies.staleness.boundary import first_unstable
from parallel.studies.staleness.delays import constant
from parallel.studies.staleness.remedies import staleness_aware
from parallel.studies.staleness.replay import replay
from parallel.studies.staleness.served import faded_size
from parallel.studies.stragglers import interrupted_round, synchronous_efficiency
from parallel.studies.tensor_parallel import ACTIVATION, WIDTH, block_cost, smallest_hidden_block
from parallel.tensor_parallel.cost import block_traffic, layer_activations

pytestmark = pytest.mark.published

PAGE = Path(__file__).parent.parent / "docs" / "published.md"


class Row(NamedTuple):
    """A line of the table."""

    figure: str
    what: str
    literature: float
    ours: str
    tolerance: str
    source: str

    def allowed(self) -> float:
        """Largest difference from the literature."""
        if self.tolerance == "exact":
            return 0.0
        if self.tolerance.endswith("%"):
            return abs(self.literature) * float(self.tolerance.rstrip(" %")) / 100.0
        return float(self.tolerance)


def table() -> list[Row]:
    """The rows of the page."""
    rows = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and re.fullmatch(r"[\d.]+", cells[3]):
            rows.append(Row(cells[0], cells[1], float(cells[2]), *cells[3:]))
    return rows


class Shapes:
    """In the place of a random generator: arrays that have a shape and no memory."""

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        """One number, seen everywhere."""
        return np.broadcast_to(np.float32(low), shape)

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        """The same."""
        return np.broadcast_to(np.float32(0), shape)


class GPTShape(nn.GPT):
    """Our GPT with every parameter's shape and none of its numbers: XL would take 6 GB."""

    def _initialise(self, rng: np.random.Generator) -> None:
        """Nothing to write to."""


def gpt2(n_layer: int, n_embd: int, n_head: int, part: str = "") -> int:
    """Number of parameters of a GPT-2, or of those whose name does not contain `part`."""
    model = GPTShape(nn.GPTConfig(50257, 1024, n_layer, n_head, n_embd), rng=Shapes())
    return sum(p.numel() for name, p in model.named_parameters() if not part or part not in name)


def adam_first_step() -> float:
    """How far the first step goes."""
    weight = np.zeros(1)
    rules.adamw(weight, np.array([7.0]), {}, 1.0, 1, weight_decay=0.0)
    return abs(float(weight[0]))


def adam_without_correction() -> float:
    """The same without bias correction."""
    weight = np.zeros(1)
    rules.adam(weight, np.array([7.0]), {}, 1.0, 1, bias_correction=False)
    return abs(float(weight[0]))


def state_per_parameter(optimizer: type[optim.Optimizer]) -> float:
    """Bytes of float32 state per parameter of a 256 x 256 matrix, after a step."""
    weight = nn.Parameter(np.ones((256, 256)), np.float32)
    (weight * 2.0).sum().backward()
    chosen = optimizer([weight], lr=1e-3)
    chosen.step()
    return state_bytes(chosen) / weight.numel()


def recomputed_blocks(segments: int | None) -> float:
    """Blocks' outputs held at once by 64 tanh blocks, in so many segments or without recomputation."""
    x = Tensor(np.linspace(-1.0, 1.0, 100), requires_grad=True)
    layers = [nn.Tanh() for _ in range(64)]
    with SavedActivations() as saved:
        y = nn.Sequential(*layers)(x) if segments is None else recompute_sequential(layers, segments, x)
        y.sum().backward()
    return saved.peak / x.data.nbytes


def edge_of_stability() -> float:
    """Mean sharpness of the last thousand of 4,000 steps of full-batch gradient descent at lr 0.1."""
    net, loss = small_regression(np.random.default_rng(0))
    records = gradient_descent(loss, net.parameters(), 0.1, 4000, np.random.default_rng(1), every=50)
    return float(np.mean([record.sharpness for record in records[-20:]]))


def ring_bytes() -> float:
    """Bytes that rank 0 sends, over the bytes of the array."""
    x = np.zeros(800)
    run = simulate(lambda comm: ring_all_reduce(comm, x.copy()), ranks=8)
    return sum(span.bytes for span in run.spans if span.kind == "send" and span.rank == 0) / x.nbytes


def ring_steps() -> list[int]:
    """Bytes of each message that rank 0 sends for 100 MB on 8 ranks."""
    run = simulate(lambda comm: ring_all_reduce(comm, Ghost(25_000_000, "float32")), ranks=8)
    return [span.bytes for span in run.spans if span.kind == "send" and span.rank == 0]


def ring_crossover(ranks: int) -> float:
    """Megabytes; that neither is faster there is measured, not only computed."""
    cluster = Cluster(alpha=10e-6, beta=1e-10)
    size = crossover(recursive_doubling_all_reduce_time, ring_all_reduce_time, ranks, cluster.alpha, cluster.beta)
    array = Ghost(round(size), "uint8")
    ring, doubling = (
        simulate(lambda comm, function=function: function(comm, array), ranks, cluster, trace=False).time
        for function in (ring_all_reduce, recursive_doubling_all_reduce)
    )
    assert abs(ring - doubling) < 1e-4 * ring  # chunks are whole bytes
    return size / 1e6


def ring_time() -> float:
    """Microseconds."""
    cluster = Cluster(alpha=5e-6, beta=1e-9)
    return simulate(lambda comm: ring_all_reduce(comm, np.zeros(1000)), ranks=8, cluster=cluster).time * 1e6


def bytes_held(stage: type[Zero1]) -> float:
    """Bytes that each of 4 ranks holds for a parameter of a float16 model, masters and Adam's state included."""

    def program(comm: object) -> float:
        model = nn.Sequential(*[nn.Linear(64, 64, bias=False, rng=np.random.default_rng(0)) for _ in range(4)])
        replica = stage(model.to(np.float16), comm, master_dtype=np.float32)
        optimizer = replica.make_optimizer(optim.AdamW, lr=1e-3)
        for step in range(2):
            if step:
                optimizer.step()
            replica(Tensor(np.ones((2, 64), np.float16))).sum().backward()
            replica.average_gradients()
        return memory_of(replica, optimizer).total / sum(p.numel() for p in model.parameters())

    return float(simulate(program, ranks=4).results[0])


def block_all_reduces() -> float:
    """Bytes that a rank sends for a block, over those of one ring all-reduce."""
    return block_cost("tensor parallel", 4).sent / (2.0 * 3.0 / 4.0)


def sequence_parallel_traffic() -> float:
    """Activations with sequence parallelism over without; the gradients of six vectors are left out."""
    vectors = block_traffic(4, 0.0, sequence_parallel=True, parameters=WIDTH * 8.0) / ACTIVATION
    return (block_cost("and sequence parallel", 4).sent - vectors) / block_cost("tensor parallel", 4).sent


def selective_share(s: int, h: int, a: int) -> float:
    """What need not be kept of a layer's activations if attention is recomputed."""
    return 1.0 - layer_activations(s, 1, h, a, selective=True) / layer_activations(s, 1, h, a)


def attention_share(s: int, h: int, a: int) -> float:
    """Activations inside attention, in units of s b h."""
    return (layer_activations(s, 1, h, a) - layer_activations(s, 1, h, a, selective=True)) / (s * h)


def error_against_roots() -> float:
    """Largest difference of the critical step from where the largest root reaches the unit circle."""
    errors = []
    for momentum in (-0.5, 0.0, 0.5, 0.9):
        for tau, step in enumerate(critical_step(np.arange(65), momentum)):
            low, high = step - 1e-8, step + 1.01e-8  # an answer outside is found at an end, and is an error of 1e-8
            for _ in range(6):
                middle = (low + high) / 2
                stable = np.abs(np.roots(characteristic_polynomial(tau, middle, momentum))).max() < 1
                low, high = (middle, high) if stable else (low, middle)
            errors.append(abs(step - (low + high) / 2))
    return float(max(errors))


def simulated_variance(tau: int) -> float:
    """Variance of 4,000 runs with errors of deviation 1 at step 0.3 and curvature 1, over the squared rate."""
    rng = np.random.default_rng(0)
    runs = replay(constant(tau, 1000), np.full(4000, 0.3), start=0.0, noise=1.0, rng=rng)
    return float(runs.w[200:].var()) / 0.3**2


def largest_divided(slope: float, offset: float, tau: int = 8) -> float:
    """The largest rate, over that of curvature 1, that converges when divided by slope * tau + offset."""

    def unstable(rates: np.ndarray) -> np.ndarray:
        run = replay(constant(tau, 3000), rates, remedy=staleness_aware(slope, offset))
        return run.diverged | (faded_size(run.w) > faded_size(run.w[: len(run.w) // 2]))

    return first_unstable(unstable, rounds=3, parts=30)


FIGURES: dict[str, Callable[[], float]] = {
    "gpt2-small": lambda: gpt2(12, 768, 12),
    "gpt2-medium": lambda: gpt2(24, 1024, 16),
    "gpt2-large": lambda: gpt2(36, 1280, 20),
    "gpt2-xl": lambda: gpt2(48, 1600, 25),
    "gpt2-xl-blocks": lambda: gpt2(48, 1600, 25, part="embedding"),
    "adam-first-step": adam_first_step,
    "adam-uncorrected": adam_without_correction,
    "adam-state": lambda: state_per_parameter(optim.Adam),
    "lion-state": lambda: state_per_parameter(optim.Lion),
    "adafactor-state": lambda: state_per_parameter(optim.Adafactor),
    "recompute-none": lambda: recomputed_blocks(None),
    "recompute-root": lambda: recomputed_blocks(8),
    "edge-of-stability": edge_of_stability,
    "ring-bytes": ring_bytes,
    "ring-time": ring_time,
    "ring-steps": lambda: len(ring_steps()),
    "ring-step-size": lambda: max(ring_steps()) / 1e6,
    "crossover-8": lambda: ring_crossover(8),
    "crossover-32": lambda: ring_crossover(32),
    "barrier-rounds": lambda: simulate(lambda comm: comm.Barrier(), 8, Cluster(alpha=1.0)).time,
    "stragglers-2": lambda: synchronous_efficiency(2),
    "stragglers-4": lambda: synchronous_efficiency(4),
    "stragglers-8": lambda: synchronous_efficiency(8),
    "backup-4-1": lambda: interrupted_round(4, 1, rounds=10_000),
    "backup-8-2": lambda: interrupted_round(8, 2, rounds=10_000),
    "overlap-fast-buckets": lambda: simulated_seconds(Step(8, 8.0, 2.0, 1.5)),
    "overlap-slow-buckets": lambda: simulated_seconds(Step(8, 8.0, 2.0, 3.0)),
    **{f"zero-stage-{stage}": lambda stage=stage: 7.5 * bytes_per_parameter(stage, 64) for stage in range(4)},
    "zero-stage-2-measured": lambda: bytes_held(Zero2),
    "zero-stage-3-measured": lambda: bytes_held(Zero3),
    **PIPELINE,
    "megatron-all-reduces": block_all_reduces,
    "sequence-parallel-bytes": sequence_parallel_traffic,
    "gpt3-attention-memory": lambda: attention_share(2048, 12288, 96),
    "gpt3-selective": lambda: selective_share(2048, 12288, 96),
    "mtnlg-selective": lambda: selective_share(2048, 20480, 128),
    "ring-attention-block": lambda: smallest_hidden_block(312e12, 300e9),
    "critical-step-1": lambda: float(measured_boundary_by_running(1)),
    "critical-step-2": lambda: float(measured_boundary_by_running(2)),
    "critical-step-10": lambda: float(measured_boundary_by_running(10)),
    "critical-step-1-m05": lambda: float(measured_boundary_with_momentum(1, -0.5, 4000)),
    "critical-step-2-m09": lambda: float(measured_boundary_with_momentum(2, -0.9, 4000)),
    "critical-step-2-p09": lambda: float(measured_boundary_with_momentum(2, 0.9, 4000)),
    "critical-step-4-p05": lambda: float(measured_boundary_with_momentum(4, 0.5, 4000)),
    "served-3": lambda: served_boundary(3),
    "served-9": lambda: served_boundary(9),
    "served-5-p05": lambda: served_boundary(5, 0.5),
    "divided-tau": lambda: largest_divided(1, 0),
    "divided-tau-1": lambda: largest_divided(1, 1),
    "divided-2-tau-1": lambda: largest_divided(2, 1),
    "critical-step-roots": error_against_roots,
    "fastest-step-1": lambda: float(fastest_step(1)),
    "fastest-step-2": lambda: float(fastest_step(2)),
    "fastest-step-4": lambda: float(fastest_step(4)),
    "fastest-rate-1": lambda: float(spectral_radius(1, fastest_step(1))),
    "fastest-rate-2": lambda: float(spectral_radius(2, fastest_step(2))),
    "fastest-rate-4": lambda: float(spectral_radius(4, fastest_step(4))),
    "variance-0": lambda: simulated_variance(0),
    "variance-1": lambda: simulated_variance(1),
    "implicit-momentum": lambda: implicit_momentum(8, np.random.default_rng(0)).momentum,
}


def test_every_row_has_a_program_and_every_program_a_row() -> None:
    assert [row.figure for row in table()] == list(FIGURES)


@pytest.mark.parametrize("row", table(), ids=lambda row: row.figure)
def test_figure(row: Row) -> None:
    computed = FIGURES[row.figure]()
    assert abs(computed - row.literature) <= row.allowed()
    decimals = len(row.ours.partition(".")[2])
    assert f"{computed:.{decimals}f}" == row.ours
    name, year = row.source.split() if row.source[-1].isdigit() else ("released", "")
    assert re.search(rf"{name}.*{year}", PAGE.read_text(encoding="utf-8").partition("## Sources")[2], re.DOTALL)


def test_the_price_of_64_stages_and_512_micro_batches_takes_less_than_10_seconds() -> None:
    """Of the processor's time, which does not count what else the machine does."""
    assert large_price().seconds < 10
