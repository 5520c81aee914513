"""The runner computes what one process computes, takes the time the formulas say, and hangs where it must."""

import re
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import pipeline_cases as cases
from programs.schedule_shapes import schedules
from threadpoolctl import threadpool_limits

import minigrad as mg
from minigrad.nn import functional as F
from parallel.cluster import Cluster
from parallel.comm import DeadlockError, simulate
from parallel.pipeline import (
    SCHEDULES,
    Action,
    CostedStage,
    ModuleStage,
    Schedule,
    ScheduleError,
    Sizes,
    Stage,
    check,
    cut_model,
    draw_spans,
    gpipe,
    one_f_one_b,
    parse,
    price,
    run,
)

ONE_STAGE_A_RANK = ["1f1b", "gpipe", "naive", "zb-h1", "zb-h2"]
K_RANKS = 1e-12  # row `k-ranks` of docs/conventions.md
VIRTUAL_TIME = 1e-12  # row `virtual-time`
FREE = Cluster(alpha=0.0, beta=0.0)

LOOPED = """
rank 0 stage 0,2: F0 F1 F0.1 F1.1 BW0.1 BW1.1 BW0 BW1
rank 1 stage 1,3: F0 F1 F0.1 F1.1 BW0.1 BW1.1 BW0 BW1
"""
V_SHAPED = """
rank 0 stage 0,3: F0 F1 F0.1 BW0.1 F1.1 BW1.1 BW0 BW1
rank 1 stage 1,2: F0 F0.1 F1 F1.1 BW0.1 BW0 BW1.1 BW1
"""
SPLIT = """
rank 0 stage 0: F0 F1 B0 B1 W1 W0
rank 1 stage 1: F0 F1 B0 W0 B1 W1
"""
BOTH_WAYS = """  # each stage on two ranks: micro-batch 0 goes down the ranks, 1 goes up
rank 0 stage 0,1: F0 F1.1 BW1.1 BW0
rank 1 stage 1,0: F1.1 F0 BW0 BW1.1
"""
BY_HAND = {"looped": LOOPED, "v": V_SHAPED, "split": SPLIT, "both ways": BOTH_WAYS}


class NumpyStage(Stage):
    """y = tanh(x w), or in the last stage the mean of (tanh(x w) - targets)^2, differentiated by hand."""

    def __init__(self, w: np.ndarray, batch: int) -> None:
        self.w, self.dw = w, np.zeros_like(w)
        self.batch = batch
        self.kept: dict[int, Any] = {}

    def forward(self, micro_batch: int, x: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
        y = np.tanh(x @ self.w)
        self.kept[micro_batch] = [x, y, targets]
        return y if targets is None else np.mean((y - targets) ** 2)

    def backward_input(self, micro_batch: int, grad: np.ndarray) -> np.ndarray:
        _, y, targets = self.kept[micro_batch]
        if targets is not None:
            grad = grad * 2 * (y - targets) / y.size
        self.kept[micro_batch].append(grad * (1 - y * y))
        return self.kept[micro_batch][-1] @ self.w.T

    def backward_weight(self, micro_batch: int) -> None:
        x, *_, dz = self.kept.pop(micro_batch)
        self.dw += x.T @ dz

    def sizes(self) -> Sizes:
        return Sizes((self.batch, len(self.w)), self.w.dtype)


def layers(stages: int, seed: int) -> list[np.ndarray]:
    """Weights of different shapes, so that no stage can be taken for another; many of them in a row stay tame."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((3 + i, 4 + i)) / np.sqrt(3 + i) for i in range(stages)]


def numpy_gradients(
    weights: Sequence[np.ndarray], x: np.ndarray, targets: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Gradients of the whole batch at once, in one process and without the runner."""
    outputs = [x]
    for w in weights:
        outputs.append(np.tanh(outputs[-1] @ w))
    grad = 2 * (outputs[-1] - targets) / targets.size
    gradients = []
    for w, x_in, y in zip(weights[::-1], outputs[-2::-1], outputs[:0:-1], strict=True):
        dz = grad * (1 - y * y)
        gradients.append(x_in.T @ dz)
        grad = dz @ w.T
    return float(np.mean((outputs[-1] - targets) ** 2)), gradients[::-1]


def assert_close(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Relative to the largest magnitude, as docs/conventions.md says."""
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()


def check_numpy_stages(schedule: Schedule, examples: int, seed: int, blocking: bool = False) -> None:
    """Run a schedule on simulated ranks; all gradients, and the loss, must be those of one process."""
    weights = layers(schedule.stages, seed)
    rng = np.random.default_rng(seed + 1)
    batch = examples * schedule.micro_batches
    x, targets = rng.standard_normal((batch, 3)), rng.standard_normal((batch, 3 + schedule.stages))

    def program(comm: Any) -> tuple[float | None, list[NumpyStage]]:
        stages = [NumpyStage(weights[stage], examples) for stage in schedule.placement[comm.Get_rank()]]
        loss = run(comm, schedule, stages, x, targets, blocking=blocking, checked=True)
        assert not any(stage.kept for stage in stages), "a stage still holds activations"
        return loss, stages

    check(schedule, blocking)  # once, not on every rank
    expected_loss, expected = numpy_gradients(weights, x, targets)
    results = simulate(program, ranks=schedule.ranks, trace=False).results
    total: list[Any] = [0.0] * schedule.stages  # the sum over the copies, where a stage has several
    for rank, (_, stages) in enumerate(results):
        for number, stage in zip(schedule.placement[rank], stages, strict=True):
            total[number] = total[number] + stage.dw
    for actual, gradient in zip(total, expected, strict=True):
        assert_close(actual, gradient, K_RANKS)
    losses = [loss for loss, _ in results if loss is not None]
    assert sum(losses) == pytest.approx(expected_loss, rel=K_RANKS)  # of two ranks with the last stage, each its part


@pytest.mark.parametrize("name", cases.SYNCHRONOUS)
def test_gradients_of_hand_written_stages(name: str) -> None:
    """On every number of ranks up to 16 that the schedule allows."""
    schedules = [cases.fitted(name, ranks) for ranks in range(1, 17)]
    assert sum(schedule is not None for schedule in schedules) >= 8
    for schedule in schedules:
        if schedule is not None:
            check_numpy_stages(schedule, examples=3, seed=schedule.ranks)


@settings(max_examples=40, deadline=None)
@given(schedule=schedules(most_stages=6).filter(lambda schedule: schedule.synchronous), seed=st.integers(0, 99))
def test_gradients_of_any_number_of_micro_batches(schedule: Schedule, seed: int) -> None:
    check_numpy_stages(schedule, examples=1 + seed % 3, seed=seed)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_gradients_of_schedules_written_by_hand(name: str) -> None:
    check_numpy_stages(parse(BY_HAND[name]), examples=2, seed=7)


def test_gradients_with_blocking_sends() -> None:
    check_numpy_stages(gpipe(4, 4), examples=2, seed=0, blocking=True)


# ------------------------------------------------------------------------------------------------------ GPT


@pytest.mark.parametrize("name", cases.SYNCHRONOUS)
@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_of_a_gpt_with_tied_embeddings(name: str, recompute: bool) -> None:
    """Micro-batches of two sizes and targets that do not count; one process takes the batch in one piece."""
    for ranks in (1, 2, 3, 4):
        schedule = cases.fitted(name, ranks)
        if schedule is not None:
            check_gpt(schedule, recompute)


@pytest.mark.parametrize("name", ["zb-h1", "dualpipe"])
def test_gradients_of_a_gpt_on_16_ranks(name: str) -> None:
    check_gpt(SCHEDULES[name](16, 32 if name == "dualpipe" else 8))


def check_gpt(schedule: Schedule, recompute: bool = False) -> None:
    """Loss and all gradients, on every rank that has them."""

    def program(comm: Any) -> tuple[float | None, cases.Gradients]:
        return cases.pipeline_step(comm, schedule, recompute=recompute)

    expected_loss, expected = cases.one_process(schedule)
    results = simulate(program, ranks=schedule.ranks, trace=False).results
    assert {name for _, gradients in results for name in gradients} == expected.keys()
    assert max(cases.largest_difference(gradients, expected) for _, gradients in results) <= K_RANKS
    assert sum(loss for loss, _ in results if loss is not None) == pytest.approx(expected_loss, rel=K_RANKS)


def test_a_micro_batch_counts_by_its_targets() -> None:
    """Micro-batches of 3 and 1 examples, one with nothing to learn: the loss of the batch, not a mean of means."""
    inputs, targets = cases.tokens(5)
    targets[3:] = -100
    targets[3, 0] = 2
    targets[4] = -100
    parts = [slice(0, 3), slice(3, 4), slice(4, 5)]

    def program(comm: Any) -> tuple[float | None, np.ndarray]:
        model = cases.gpt()
        mine = cut_model(model, 2, inputs[:3])[comm.Get_rank()]
        loss = run(comm, gpipe(2, 3), [mine], [inputs[part] for part in parts], [targets[part] for part in parts])
        return loss, model.blocks[comm.Get_rank() * 3].expand.weight.grad.data

    model = cases.gpt()
    loss = model.loss(inputs, targets)
    loss.backward()
    for rank, (found, gradient) in enumerate(simulate(program, ranks=2).results):
        assert_close(gradient, model.blocks[rank * 3].expand.weight.grad.data, K_RANKS)
        assert found is None or found == pytest.approx(loss.item(), rel=K_RANKS)


@pytest.mark.parametrize("name", ["1f1b", "zb-h1"])
def test_recomputation_keeps_inputs_only(name: str) -> None:
    """The graph of a micro-batch is there from its backward on, and dropout draws the same numbers again."""

    def program(comm: Any, recompute: bool) -> tuple[float | None, list[np.ndarray]]:
        inputs, targets = cases.tokens(4)
        stages = cut_model(cases.gpt(dropout=0.4), 2, inputs[:1], recompute=recompute)
        mine = stages[comm.Get_rank()]
        loss = run(comm, SCHEDULES[name](2, 4), [mine], inputs, targets)  # with generators of the model's own
        return loss, [weight.grad.data for weight in mine.module.parameters()]

    kept, again = (simulate(program, ranks=2, args=(recompute,)).results for recompute in (False, True))
    for (loss, gradients), (other, others) in zip(kept, again, strict=True):
        assert loss == other
        for gradient, reference in zip(gradients, others, strict=True):
            assert_close(gradient, reference, K_RANKS)


# ------------------------------------------------------------------------------------------------- minigrad


def mlp() -> mg.nn.MLP:
    """Seven layers in float64, of different widths: Linear, GELU, Linear, ..."""
    return mg.nn.MLP([5, 7, 4, 6, 3], rng=np.random.default_rng(0), dtype=np.float64)


def train_program(
    comm: Any, name: str, micro_batches: int, blocking: bool = False
) -> tuple[float | None, list[np.ndarray]]:
    """One step of the MLP on as many stages as there are ranks: the loss, and this stage's gradients."""
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((24, 5)), rng.integers(0, 3, 24)
    stages = cut_model(mlp(), comm.Get_size(), x[: 24 // micro_batches], F.cross_entropy)
    mine = stages[comm.Get_rank()]
    schedule = SCHEDULES[name](comm.Get_size(), micro_batches)
    loss = run(comm, schedule, [mine], x, targets, blocking=blocking)
    return loss, [weight.grad.data for weight in mine.module.parameters()]


def one_process() -> tuple[float, list[np.ndarray]]:
    """The same step on the whole batch at once, without stages."""
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((24, 5)), rng.integers(0, 3, 24)
    model = mlp()
    loss = F.cross_entropy(model(mg.Tensor(x)), targets)
    loss.backward()
    return float(loss), [weight.grad.data for weight in model.parameters()]


@pytest.mark.parametrize("name", ONE_STAGE_A_RANK)
@pytest.mark.parametrize("micro_batches", [1, 8])
@pytest.mark.parametrize("stages", [1, 3, 7])
def test_gradients_equal_one_process(name: str, stages: int, micro_batches: int) -> None:
    results = simulate(train_program, ranks=stages, args=(name, micro_batches)).results
    expected_loss, expected = one_process()
    actual = [gradient for _, gradients in results for gradient in gradients]
    for gradient, reference in zip(actual, expected, strict=True):
        assert_close(gradient, reference, K_RANKS)
    assert [loss for loss, _ in results[:-1]] == [None] * (stages - 1)
    assert results[-1][0] == pytest.approx(expected_loss, rel=K_RANKS)


def test_gpipe_and_1f1b_agree_to_the_last_bit() -> None:
    with threadpool_limits(1):  # row `bits` of docs/conventions.md
        runs = [simulate(train_program, ranks=3, args=(name, 8)).results for name in ("gpipe", "1f1b")]
    for (loss, gradients), (other_loss, others) in zip(*runs, strict=True):
        assert loss == other_loss
        assert all(np.array_equal(a, b) for a, b in zip(gradients, others, strict=True))


def test_gradients_add_up_over_steps() -> None:
    """Like any backward, a run adds to what is there; two equal runs give twice the gradient."""
    x = np.random.default_rng(1).standard_normal((4, 5))
    targets = np.array([0, 1, 2, 0])

    def program(comm: Any) -> list[np.ndarray]:
        mine = cut_model(mlp(), 2, x[:2], F.cross_entropy)[comm.Get_rank()]
        snapshots = []
        for _ in range(2):
            run(comm, gpipe(2, 2), [mine], x, targets)
            snapshots.append(np.concatenate([w.grad.data.ravel() for w in mine.module.parameters()]))
        return snapshots

    for once, twice in simulate(program, ranks=2).results:
        assert_close(twice, 2 * once, K_RANKS)


def test_unused_and_frozen_weights_get_no_gradient() -> None:
    class Odd(mg.nn.Module):
        """Uses one of three weights; one more is frozen."""

        def __init__(self) -> None:
            self.used, self.unused, self.frozen = (mg.nn.Parameter(np.ones((2, 2))) for _ in range(3))
            self.frozen.requires_grad = False

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x @ self.used @ self.frozen

    stage = ModuleStage(Odd(), Sizes((1, 2), np.dtype(float)), loss=lambda y, targets: (y * targets).sum())
    stage.forward(0, np.ones((1, 2)), np.ones((1, 2)))
    assert_close(stage.backward(0, np.array(1.0)), np.full((1, 2), 4.0), K_RANKS)
    assert stage.module.unused.grad is None
    assert stage.module.frozen.grad is None
    assert_close(stage.module.used.grad.data, np.full((2, 2), 2.0), K_RANKS)


@pytest.mark.parametrize("name", ONE_STAGE_A_RANK)
def test_a_first_stage_may_have_nothing_to_learn(name: str) -> None:
    """Without weights, or with frozen ones: the other stage learns as on one process."""
    rng = np.random.default_rng(1)
    x, targets = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    for first in (mg.nn.GELU(), mg.nn.Linear(4, 4, rng=rng, dtype=np.float64)):
        for weight in first.parameters():
            weight.requires_grad = False
        model = mg.nn.Sequential(first, mg.nn.Linear(4, 3, rng=rng, dtype=np.float64))

        def program(comm: Any, model: mg.nn.Sequential = model) -> float | None:
            mine = cut_model(model, 2, x[:2], F.cross_entropy)[comm.Get_rank()]
            return run(comm, SCHEDULES[name](2, 3), [mine], x, targets)

        simulate(program, ranks=2)
        weight = model[1].weight
        actual, weight.grad = weight.grad.data, None
        F.cross_entropy(model(mg.Tensor(x)), targets).backward()
        assert_close(actual, weight.grad.data, K_RANKS)


def test_micro_batches_of_another_size_than_the_stage_was_made_for() -> None:
    def program(comm: Any) -> None:
        stages = cut_model(mlp(), 1, np.zeros((2, 5)), F.cross_entropy)
        run(comm, gpipe(1, 2), stages, np.zeros((8, 5)), np.zeros(8, int))

    with pytest.raises(ValueError, match=r"x has shape \(4, 5\), the stage was made for micro-batches of \(2, 5\)"):
        simulate(program, ranks=1)


@pytest.mark.parametrize("stages", [0, 8])
def test_more_stages_than_layers(stages: int) -> None:
    with pytest.raises(ValueError, match=rf"^stages={stages} must be at least 1 and at most the 7 layers$"):
        cut_model(mlp(), stages, np.zeros((2, 5)), F.cross_entropy)


# ----------------------------------------------------------------------------------------------------- time


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(["1f1b", "gpipe"]), stages=st.integers(1, 8), micro_batches=st.integers(1, 12))
def test_makespan_and_bubble(name: str, stages: int, micro_batches: int) -> None:
    priced = price(SCHEDULES[name](stages, micro_batches))
    slots = micro_batches + stages - 1
    assert priced.time == pytest.approx(slots * 3, rel=VIRTUAL_TIME)
    busy = sum(span.end - span.start for span in priced.spans if span.kind == "compute")
    assert 1 - busy / (stages * priced.time) == pytest.approx((stages - 1) / slots, abs=VIRTUAL_TIME)


@pytest.mark.parametrize(("stages", "micro_batches", "makespan"), [(2, 4, 15), (4, 8, 33), (8, 32, 117)])
def test_makespans_of_the_literature(stages: int, micro_batches: int, makespan: int) -> None:
    assert price(gpipe(stages, micro_batches)).time == makespan
    assert price(one_f_one_b(stages, micro_batches)).time == makespan


def test_b_then_w_is_not_bw() -> None:
    """Between B and W the gradient has already left, so the stage before starts a unit earlier."""
    fused = gpipe(4, 8)
    split = tuple(tuple(part for action in actions for part in halves(action)) for actions in fused.steps)
    assert price(fused).time == 33
    assert price(Schedule(split, fused.placement)).time == 30


def halves(action: Action) -> tuple[Action, ...]:
    """B and W for a BW, anything else as it is."""
    return (action._replace(kind="B"), action._replace(kind="W")) if action.kind == "BW" else (action,)


def test_messages_take_time() -> None:
    cluster = Cluster(alpha=0.25, beta=0.5)
    priced = price(gpipe(2, 1), message_bytes=3, cluster=cluster)
    assert priced.time == pytest.approx(6 + 2 * (0.25 + 3 * 0.5), rel=VIRTUAL_TIME)


def test_a_transfer_overlaps_with_the_work_of_both_its_ranks() -> None:
    """Each message takes as long as an F: only the first is waited for, as the next receive is posted already."""
    slow = Cluster(alpha=1.0, beta=0.0)
    # Rank 1 begins after F0 and its transfer; rank 0 after all F, the first BW of rank 1 and its transfer.
    assert price(gpipe(2, 8), cluster=slow).time == (1 + 1) + 8 + (2 + 1) + 8 * 2

    def program(comm: Any) -> None:
        x = np.zeros(8)
        run(comm, gpipe(2, 8), [CostedStage(comm)], x, x, blocking=True)

    assert simulate(program, ranks=2, cluster=slow).time > 36  # where a receive waits for its turn


def test_compute_happens_in_the_order_of_the_schedule() -> None:
    schedule = one_f_one_b(3, 5)
    spans = [span for span in price(schedule).spans if span.kind == "compute"]
    for rank in range(3):
        mine = sorted((span for span in spans if span.rank == rank), key=lambda span: span.start)
        assert [span.name for span in mine] == [str(action) for action in schedule.steps[rank]]


def test_drawn_timeline() -> None:
    assert draw_spans(price(gpipe(3, 2)).spans) == (
        "rank 0 | F0 F1 .  .  .  .  .  .  BW0-- BW1--\n"
        "rank 1 | .  F0 F1 .  .  .  BW0-- BW1-- .  .\n"
        "rank 2 | .  .  F0 F1 BW0-- BW1-- .  .  .  ."
    )
    assert draw_spans([]) == ""
    with pytest.raises(ValueError, match=r"^tick=0 must be positive$"):
        draw_spans([], tick=0)


# ------------------------------------------------------------------------------------------------- deadlock


@st.composite
def any_order(draw: st.DrawFn) -> Schedule:
    """Complete, and on each rank every F before its BW; otherwise in any order."""
    stages, micro_batches = draw(st.integers(2, 4)), draw(st.integers(1, 4))
    steps = []
    for _ in range(stages):
        order = draw(st.permutations([i for i in range(micro_batches) for _ in "FB"]))
        seen: set[int] = set()
        actions = []
        for micro_batch in order:
            actions.append(Action("BW" if micro_batch in seen else "F", micro_batch))
            seen.add(micro_batch)
        steps.append(tuple(actions))
    return Schedule(tuple(steps), tuple((rank,) for rank in range(stages)))


@settings(max_examples=150, deadline=None)
@given(schedule=any_order(), blocking=st.booleans())
def test_checker_and_simulated_world_agree_on_deadlock(schedule: Schedule, blocking: bool) -> None:
    """Two programs that share no code: one follows the messages on paper, the other sends them."""

    def program(comm: Any) -> None:
        stage = NumpyStage(np.eye(2), 1)
        x = np.ones((schedule.micro_batches, 2))
        run(comm, schedule, [stage], x, x, blocking=blocking, checked=True)

    verdict = nullcontext() if passes(schedule, blocking) else pytest.raises(DeadlockError)
    with verdict:
        simulate(program, ranks=schedule.ranks)


def passes(schedule: Schedule, blocking: bool) -> bool:
    """Whether the checker lets the schedule run; if not, a deadlock must be why."""
    try:
        check(schedule, blocking)
    except ScheduleError as error:
        if not str(error).startswith("deadlock"):
            raise
        return False
    return True


# ------------------------------------------------------------------------------------------------ bad input


def refused(schedule: Schedule, ranks: int = 1, stages: int = 1, examples: int = 4, **changes: Any) -> None:
    """Run something that does not fit."""

    def program(comm: Any) -> None:
        x = np.ones((examples, 2))
        arguments = {"inputs": x, "targets": x} | changes
        run(comm, schedule, [NumpyStage(np.eye(2), 1)] * stages, **arguments)

    simulate(program, ranks=ranks)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"schedule has 2 ranks, must be the communicator's 1"):
        refused(gpipe(2, 4))
    with pytest.raises(ValueError, match=r"stages has 2 stages, must be 1: stages \[0\]"):
        refused(gpipe(1, 4), stages=2)
    with pytest.raises(ValueError, match=r"inputs has 2 examples, must be at least micro_batches=3"):
        refused(gpipe(1, 3), examples=2)
    with pytest.raises(ValueError, match=r"inputs has 0 examples, must be at least micro_batches=3"):
        refused(gpipe(1, 3), examples=0)
    with pytest.raises(ValueError, match=r"targets has 2 examples, must be at least micro_batches=4"):
        refused(gpipe(1, 4), targets=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"inputs=None must be an array"):
        refused(gpipe(1, 4), inputs=None)
    with pytest.raises(ValueError, match=r"inputs is a list of 2 micro-batches, must be micro_batches=4"):
        refused(gpipe(1, 4), inputs=[np.ones((1, 2))] * 2)
    with pytest.raises(ValueError, match=r"targets: micro-batches 0 to 3 have none to learn from"):
        refused(gpipe(1, 4), targets=np.ones((4, 0)))
    with pytest.raises(ScheduleError, match=r"lacks BW0"):
        refused(parse("rank 0 stage 0: F0"))


def test_a_stage_that_raises_names_the_action() -> None:
    with pytest.raises(ValueError, match="matmul") as caught:
        refused(gpipe(1, 4), inputs=np.ones((4, 3)))
    assert any("in action F0 of stage 0 on rank 0, micro-batch 0" in note for note in caught.value.__notes__)


def test_a_stage_that_raises_in_the_middle_ends_the_others() -> None:
    def program(comm: Any) -> None:
        run(comm, one_f_one_b(3, 6), [Fragile(np.eye(2), 1)], np.ones((6, 2)), np.ones((6, 2)))

    class Fragile(NumpyStage):
        """Breaks in the backward of micro-batch 3, on the rank in the middle."""

        def backward_input(self, micro_batch: int, grad: np.ndarray) -> np.ndarray:
            if micro_batch == 3 and self.kept[3][2] is None and 1 not in self.kept:
                raise FloatingPointError("worn out")
            return super().backward_input(micro_batch, grad)

    with pytest.raises(FloatingPointError, match="worn out") as caught:
        simulate(program, ranks=3)
    told = r"in action BW3 of stage \d on rank \d, micro-batch 3"
    assert any(re.search(told, note) for note in caught.value.__notes__)
