"""The profiler: exact counts, times that add up, memory that is measured, and no trace of it outside its block."""

import csv
import json
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.commands import profile as command
from minigrad.modes import current_mode
from minigrad.nn import functional as F
from minigrad.ops import OPS
from minigrad.profile import (
    Machine,
    activation_times,
    find_bottleneck,
    linear_cost,
    measure_machine,
    profile,
    sweep_batch_sizes,
)
from minigrad.profile.activations import ACTIVATIONS, write_csv
from minigrad.profile.costs import PER_ELEMENT, backward_flops, forward_flops
from minigrad.trace import chrome_trace

PRODUCTS = {"MatMul", "Linear", "Einsum", "Attention", "PackedAttention", "BlockwiseAttention"}


def tensor(*shape, grad=True, dtype=np.float32):
    return mg.Tensor(np.random.default_rng(0).standard_normal(shape).astype(dtype), requires_grad=grad)


def calls(found):
    return {call.name: call for call in found.calls}


def small_gpt():
    config = mg.nn.GPTConfig(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=8)
    net = mg.nn.GPT(config, rng=np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(0, 11, (2, 9))
    return net, lambda: net.loss(tokens[:, :-1], tokens[:, 1:]).backward()


sizes = st.integers(1, 8)


@given(m=sizes, k=sizes, n=sizes, itemsize=st.sampled_from([4, 8]))
def test_flops_and_bytes_of_a_matrix_product_are_exact(m, k, n, itemsize):
    dtype = np.float32 if itemsize == 4 else np.float64
    a, b = tensor(m, k, dtype=dtype), tensor(k, n, dtype=dtype)
    with profile() as found:
        (a @ b).backward(np.ones((m, n)))
    forward, backward = found.calls
    assert (forward.flops, forward.bytes) == (2 * m * k * n, itemsize * (m * k + k * n + m * n))
    read = m * n + m * k + k * n
    assert (backward.flops, backward.bytes) == (4 * m * k * n, itemsize * (read + m * k + k * n))
    assert (forward.shape, backward.shape) == ((m, n), (m, n))


def test_a_product_computes_only_the_gradients_that_are_needed():
    a, b = tensor(5, 3, grad=False), tensor(3, 4)
    with profile() as found:
        (a @ b).backward(np.ones((5, 4)))
    backward = calls(found)["MatMul backward"]
    assert backward.flops == 2 * 5 * 3 * 4
    assert backward.bytes == 4 * (5 * 4 + 5 * 3 + 3 * 4)  # the gradient, a; db written


def test_flops_of_a_linear_layer_and_of_attention():
    layer = mg.nn.Linear(6, 5)
    with profile() as found:
        layer(tensor(2, 3, 6, grad=False)).backward(np.ones((2, 3, 5)))
        F.packed_attention(tensor(2, 7, 3 * 8), heads=2).backward(np.ones((2, 7, 8)))
    counts = {name: call.flops for name, call in calls(found).items()}
    assert counts["Linear"] == 2 * 6 * 6 * 5 + 6 * 5
    assert counts["Linear backward"] == 2 * 6 * 6 * 5 + 2 * 6 * 5  # the weight's and the bias's, not the input's
    scores = 2 * 2 * 7 * 7
    assert counts["PackedAttention"] == scores * (4 * 4 + 6)
    assert counts["PackedAttention backward"] == scores * (8 * 4 + 5)


@pytest.mark.parametrize(
    ("equation", "shapes", "flops"),
    [("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5), ("i,j->ij", [(3,), (4,)], 24)],
)
def test_flops_of_an_einsum(equation, shapes, flops):
    assert forward_flops("Einsum", shapes, (), {"equation": equation}) == flops
    assert backward_flops("Einsum", shapes, (), {"equation": equation}, (True, True)) == 2 * flops


def test_every_op_has_a_cost():
    """A new operation needs a row in minigrad/profile/costs.py."""
    assert sorted(set(OPS) - set(PER_ELEMENT) - PRODUCTS) == []


def test_an_op_without_a_cost_is_named():
    class Cube(mg.Function):
        keeps_inputs = True

        def forward(self, x):
            return x * x * x

        def backward(self, grad, x):
            return (grad * 3 * x * x,)

    with profile() as found:
        Cube.apply(tensor(3)).sum().backward()
    assert found.uncounted == {"Cube"}
    assert calls(found)["Cube"].flops == 0
    assert calls(found)["Cube"].bytes == 2 * 3 * 4


def test_views_move_nothing_and_repeats_count_once():
    x = tensor(4, 3)
    with profile() as found:
        x.reshape(3, 4).permute(1, 0)[1:3].sum().backward(np.float32(1))
        x.expand(5, 4, 3) + 1.0
    found = calls(found)
    assert [found[name].bytes for name in ("Reshape", "Permute", "Index", "Expand")] == [0, 0, 0, 0]
    assert found["Add"].bytes == 4 * (12 + 1 + 60)  # x once, the number, the sum
    assert found["Sum backward"].bytes == 4 * (1 + 6)  # so few are written
    with profile() as found:
        tensor(200, 100).sum().backward()
    assert calls(found)["Sum backward"].bytes == 0  # so many are a broadcast view


def test_an_embedding_moves_the_rows_it_reads_and_not_the_table():
    table = tensor(1000, 4)
    with profile() as found:
        F.embedding(np.array([1, 5, 5]), table).backward(np.ones((3, 4)))
    assert calls(found)["Embedding"].bytes == 2 * 3 * 4 * 4
    assert calls(found)["Embedding backward"].bytes == 4 * (3 * 4 + 1000 * 4) + 3 * 8  # and the indices


def test_times_of_operations_add_up_to_about_the_total():
    x, w = tensor(300, 400), tensor(400, 500)
    with profile() as found:
        for _ in range(3):
            ((x @ w).tanh() @ w.T).sum().backward()
    assert 0.8 * found.seconds < sum(call.seconds for call in found.calls) <= found.seconds
    assert found.outside == pytest.approx(found.seconds - sum(call.seconds for call in found.calls))
    assert sum(row.seconds for row in found.by_op()) == pytest.approx(found.seconds - found.outside)


def test_the_recorder_counts_its_own_time_apart():
    """On tiny operations it takes longer than they do."""
    x = tensor(2)
    with profile() as found:
        start = time.perf_counter()
        for _ in range(2000):
            x = x.detach() * 1.0
        wall = time.perf_counter() - start
    assert found.seconds < 0.85 * wall


def test_a_known_time_is_found():
    class Sleep(mg.Function):
        def forward(self, x):
            time.sleep(0.02)
            return x + 0

        def backward(self, grad):
            time.sleep(0.05)
            return (grad,)

    with profile() as found:
        Sleep.apply(tensor(2)).sum().backward()
        time.sleep(0.03)
    assert calls(found)["Sleep"].seconds >= 0.02
    assert calls(found)["Sleep backward"].seconds >= 0.05
    assert 0.03 <= found.outside < found.seconds - 0.07
    assert [row.name for row in found.by_op()][:2] == ["Sleep backward", "Sleep"]


def test_time_inside_a_nested_operation_is_counted_once():
    """With create_graph the rule of a fused operation runs operations of its own."""

    class Slow(mg.Function):
        def forward(self, x):
            time.sleep(0.05)
            return x * 1

        def backward(self, grad):
            return (Slow.apply(grad),)

    x = tensor(2)
    with profile() as found:
        mg.grad(Slow.apply(x).sum(), x, create_graph=True)
    inner, outer = [call for call in found.calls if call.op == "Slow"][1:]  # a call is written down when it ends
    assert (inner.phase, outer.phase) == ("forward", "backward")
    assert inner.seconds >= 0.05
    assert outer.seconds < 0.05 < outer.end - outer.start
    assert sum(call.seconds for call in found.calls) <= found.seconds


def test_operations_are_attributed_to_layers_forward_and_backward():
    net, step = small_gpt()
    with profile(net) as found:
        step()
    layers = {(call.name, call.layer) for call in found.calls}
    assert ("Linear", "blocks.0.attention.qkv") in layers
    assert ("Linear backward", "blocks.0.attention.qkv") in layers
    assert ("PackedAttention backward", "blocks.1.attention") in layers
    assert ("MatMul", "GPT") in layers  # the output layer, a product in the model's own forward
    whole = {row.name: row for row in found.by_layer(2)}
    assert whole["blocks.0"].calls == whole["blocks.1"].calls > 10
    assert whole["blocks.0"].flops == whole["blocks.1"].flops
    assert sum(row.flops for row in whole.values()) == sum(call.flops for call in found.calls)


def test_spans_lie_within_the_run_and_layers_enclose_their_operations():
    net, step = small_gpt()
    with profile(net) as found:
        step()
    spans = found.spans()
    assert all(0 <= span.start <= span.end for span in spans)
    block = next(span for span in spans if span.name == "blocks.0")
    within = [s for s in spans if s.kind == "compute" and block.start <= s.start and s.end <= block.end]
    assert [span.name for span in within].count("LayerNorm") == 2
    events = [event for event in chrome_trace(spans)["traceEvents"] if event["ph"] == "X"]
    assert len(events) == len(found.calls) + len(found.layer_spans)


def test_memory_is_measured():
    x = tensor(500, 500)  # 1 MB
    slack = 20_000  # the Python objects around the arrays
    with profile(memory=True) as found:
        F.log_softmax(x)
        y = x.exp()
        z = F.softmax(y)
        del y, z
    log_softmax, exp, softmax = found.calls
    assert exp.kept == pytest.approx(1_000_000, abs=slack)
    assert exp.temporary < slack
    assert softmax.kept == pytest.approx(1_000_000, abs=slack)
    assert log_softmax.temporary == pytest.approx(1_000_000, abs=2 * slack)  # the exponentials, which are summed
    assert found.peak_memory == max(call.memory + max(call.kept, 0) + call.temporary for call in found.calls)
    assert not tracemalloc.is_tracing()


def test_memory_is_counted_from_the_beginning_of_the_block():
    """Whoever traces already goes on tracing, and what was allocated before is no part of it."""
    tracemalloc.start()
    try:
        before = np.ones(1_000_000)
        with profile(memory=True) as found:
            tensor(500, 500).exp()
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    assert found.peak_memory < before.nbytes / 2


def test_memory_of_a_chain_grows_forward_and_falls_backward():
    x = tensor(500, 500)
    with profile(memory=True) as found:
        y = x
        for _ in range(5):
            y = y.tanh()  # keeps its output
        total = y.sum()
        del y
        total.backward()
    forward = [call for call in found.calls if call.name == "Tanh"]
    backward = [call for call in found.calls if call.name == "Tanh backward"]
    assert [round(call.memory / 1e6) for call in forward] == [0, 1, 2, 3, 4]
    assert backward[-1].memory < backward[1].memory - 2_000_000
    assert 5_000_000 < found.peak_memory < 8_000_000


def test_nothing_is_left_behind():
    net, step = small_gpt()
    with profile(net, memory=True):
        step()
    assert current_mode.get() == (True, None)
    assert not any("forward" in vars(module) for module in net.modules())
    with pytest.raises(ZeroDivisionError), profile(net, memory=True):
        raise ZeroDivisionError
    assert current_mode.get() == (True, None)
    assert not any("forward" in vars(module) for module in net.modules())
    assert not tracemalloc.is_tracing()


def test_profiling_changes_no_result():
    net, step = small_gpt()
    step()
    expected = [p.grad.data.copy() for p in net.parameters()]
    net.zero_grad()
    with profile(net, memory=True):
        step()
    assert all(np.array_equal(p.grad.data, g) for p, g in zip(net.parameters(), expected, strict=True))


def test_a_refused_operation_leaves_the_recording_in_order():
    x, w = tensor(2, 3), tensor(4, 5)
    with profile() as found:
        with pytest.raises(ValueError, match="does not fit"):
            x @ w
        x.exp()
    assert [call.name for call in found.calls] == ["Exp"]
    assert found.outside >= 0
    assert len(found._inside) == len(found._peaks) == 1
    with pytest.raises(RuntimeError, match="new profile"), found:
        pass


def test_a_model_that_ran_before_is_recorded_without_layers():
    """The graph was made outside the block; its backward has no layer to be put under."""
    net, _ = small_gpt()
    loss = net(np.array([[1, 2]])).sum()
    with profile(net) as found:
        loss.backward()
    assert {call.layer for call in found.calls} == {"(no layer)"}


def test_the_machine_is_measured_and_bounds_what_it_can():
    machine = measure_machine(size=128, copy_bytes=1_000_000, repeats=2)
    assert 1e8 < machine.flops < 1e14
    assert 1e8 < machine.bandwidth < 1e13
    machine = Machine(flops=100.0, bandwidth=10.0)
    assert (machine.attainable(1.0), machine.attainable(1000.0)) == (10.0, 100.0)
    assert machine.least_seconds(flops=100.0, moved=100.0) == 10.0


def recorded(flops, moved, seconds):
    """A profile of one call."""
    found = profile()
    with found:
        tensor(2).exp()
    call = found.calls[0].__class__(
        "Op", "forward", "", (), 0.0, seconds, seconds, flops, moved, memory=0, kept=0, temporary=0
    )
    found.calls[:] = [call]
    found.seconds = 1.0
    return found


@pytest.mark.parametrize(
    ("flops", "moved", "seconds", "more", "kind", "share", "word"),
    [
        (1000, 10, 0.9, {}, "compute", 0.9, "precision"),
        (10, 1000, 0.9, {}, "data movement", 0.9, "prefetch"),
        (0, 0, 0.9, {}, "engine", 1.0, "batch"),
        (1000, 10, 0.3, {}, "engine", 0.7, "batch"),
        (1000, 10, 0.9, {"load_seconds": 4.0}, "loading", 0.8, "prefetch"),
        (1000, 10, 0.9, {"memory": 90, "memory_limit": 100}, "memory", 0.9, "recomputation"),
        (1000, 10, 0.9, {"memory": 50, "memory_limit": 100}, "compute", 0.9, "precision"),
    ],
)
def test_the_bottleneck_is_named_with_its_remedy(flops, moved, seconds, more, kind, share, word):
    found = find_bottleneck(recorded(flops, moved, seconds), Machine(flops=100.0, bandwidth=10.0), **more)
    assert found.kind == kind
    assert found.share == pytest.approx(share)
    assert word in found.remedy
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert str(found).startswith(f"bottleneck: {kind} ({share:.0%}")


def test_memory_against_batch_size_is_a_line():
    def make_step(batch_size):
        x = tensor(batch_size, 10_000)
        return lambda: x.tanh().tanh().sum().backward()

    rows = sweep_batch_sizes(make_step, [1, 2, 4, 8], repeats=1)
    assert [row.batch_size for row in rows] == [1, 2, 4, 8]
    assert all(row.throughput == row.batch_size / row.seconds > 0 for row in rows)
    fixed, each = linear_cost([row.batch_size for row in rows], [row.memory for row in rows])
    assert each == pytest.approx(4 * 10_000 * 3, rel=0.4)
    assert abs(fixed) < 40_000


def test_every_activation_is_timed(tmp_path):
    rows = activation_times(np.random.default_rng(0), shape=(8, 16), repeats=1)
    assert [row.name for row in rows] == list(ACTIVATIONS)
    assert all(0 < row.forward < 1 and 0 < row.backward < 1 for row in rows)
    write_csv(rows, tmp_path / "times.csv")
    with open(tmp_path / "times.csv") as file:
        assert [row["activation"] for row in csv.DictReader(file)] == list(ACTIVATIONS)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: measure_machine(repeats=0), ValueError, "repeats=0"),
        (lambda: find_bottleneck(profile(), Machine(1.0, 1.0)), ValueError, "has no operations"),
        (lambda: sweep_batch_sizes(lambda n: print, [0]), ValueError, "batch_sizes has 0"),
        (lambda: sweep_batch_sizes(lambda n: print, [1], repeats=0), ValueError, "repeats=0"),
        (lambda: linear_cost([2, 2], [1.0, 1.0]), ValueError, "two different"),
        (lambda: activation_times(np.random.default_rng(0), repeats=0), ValueError, "repeats=0"),
    ],
)
def test_bad_input_is_refused(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


# ------------------------------------------------------------------------------------------------ the command

TINY = ["--batch-size=2", "--block-size=8", "--layers=1", "--heads=2", "--width=8", "--steps=1"]
OUTPUTS = [
    "activations.csv", "activations.png", "batch-size.csv", "batch-size.png", "ops.csv", "roofline.png", "trace.json",
]  # fmt: skip


def run(arguments):
    """What the front door does: parse, run."""
    from minigrad.cli import Parser

    parser = Parser("minigrad profile", command.HELP)
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


@pytest.mark.parametrize("model", ["gpt", "mlp"])
def test_the_command_writes_its_files(model, tmp_path, capsys):
    out = tmp_path / "results"
    assert run(["--model", model, "--out", str(out), *TINY]) == 0
    assert sorted(path.name for path in out.iterdir()) == OUTPUTS
    printed = capsys.readouterr().out
    for words in ("one step, by operation", "Linear backward", "by batch size", "bottleneck: ", "remedy: ", "tanh"):
        assert words in printed
    assert "…" not in printed  # nothing is cut off
    with open(out / "ops.csv") as file:
        rows = {row["operation"]: row for row in csv.DictReader(file)}
    assert int(rows["Linear"]["flops"]) > 0
    events = json.loads((out / "trace.json").read_text())["traceEvents"]
    assert {"Linear", "Linear backward"} <= {event["name"] for event in events}
    assert all((out / name).stat().st_size > 10_000 for name in OUTPUTS if name.endswith(".png"))


def test_one_batch_size_alone_draws_no_line(tmp_path):
    run(["--out", str(tmp_path), *TINY, "--batch-size=1"])
    assert not (tmp_path / "batch-size.png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--model rnn9", "--model rnn9 is not known; choose from: gpt, mlp"),
        ("--batch-size 0", "--batch-size 0 must be at least 1"),
        ("--threads 0", "--threads 0 must be at least 1"),
        ("--steps -1", "--steps -1 must be at least 1"),
        ("--width 10 --heads 4", "--width 10 must be divisible by --heads 4"),
        ("--out FILE", "must be a folder, it is a file"),
    ],
)
def test_the_command_refuses_bad_input_in_one_sentence(arguments, sentence, tmp_path):
    (tmp_path / "file").write_text("")
    words = [str(tmp_path / "file") if word == "FILE" else word for word in arguments.split()]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "results")]
    with pytest.raises((ValueError, OSError)) as refused:
        run(words)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "results").exists()
