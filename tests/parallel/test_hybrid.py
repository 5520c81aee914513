"""Data, pipeline and tensor parallelism together: one process's numbers, on every mesh, in both worlds."""

from typing import Any

import numpy as np
import pytest
from programs import hybrid_cases as cases

import minigrad as mg
from minigrad import optim
from parallel import simulate
from parallel.comm import DeadlockError
from parallel.hybrid import Hybrid
from parallel.mesh import Mesh
from parallel.plots.matrix import communication_matrix

K_RANKS = 1e-12  # row `k-ranks` of docs/conventions.md: here of weights after three steps of AdamW, which is stricter
MESHES: list[tuple[dict[str, Any], int, dict[str, Any]]] = [
    ({"pp": 2}, 3, {"schedule": "1f1b"}),
    ({"pp": 3}, 4, {"schedule": "zb-v", "by": "parameters"}),
    ({"pp": 2}, 4, {"schedule": "dualpipe"}),
    ({"tp": 2}, 2, {"schedule": "gpipe"}),
    ({"dp": 2, "pp": 2}, 3, {"schedule": "zb-h1"}),
    ({"dp": 2, "pp": 2}, 4, {"schedule": "dualpipe", "zero1": True}),
    ({"dp": 3, "tp": 2}, 1, {"schedule": "1f1b", "zero1": True}),
    ({"dp": 2, "pp": 2, "tp": 2}, 3, {"schedule": "zb-h1", "zero1": True, "recompute": True}),
    ({"dp": 2, "pp": 2, "tp": 2, "order": "tp,pp,dp"}, 4, {"schedule": "interleaved-1f1b"}),
]


@pytest.fixture(scope="module")
def alone() -> cases.Ended:
    return cases.alone()


@pytest.mark.parametrize(("shape", "micro_batches", "settings"), MESHES, ids=str)
def test_training_equals_one_process(
    shape: dict[str, Any], micro_batches: int, settings: dict[str, Any], alone: cases.Ended
) -> None:
    """Losses, norms before clipping, validation losses, weights, and the optimizer's state, on every rank."""
    ranks = int(np.prod([length for length in shape.values() if isinstance(length, int)]))
    program = lambda comm: cases.on_mesh(comm, shape, micro_batches, **settings)  # noqa: E731
    for ended in simulate(program, ranks=ranks).results:
        assert ended.difference(alone) <= K_RANKS


def test_masks_do_not_depend_on_the_cut() -> None:
    """Row `k-ranks`: dropout on one stage or three, recomputed or not, the backward split or not."""
    ways: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"pp": 1}, {"schedule": "gpipe"}),
        ({"pp": 3}, {"schedule": "1f1b", "recompute": True}),
        ({"pp": 2, "tp": 2}, {"schedule": "zb-h1"}),
        ({"pp": 2}, {"schedule": "zb-v", "recompute": True}),
    ]
    ends = []
    for shape, settings in ways:
        program = lambda comm, shape=shape, settings=settings: cases.on_mesh(  # noqa: E731
            comm, shape, 3, dropout=0.3, **settings
        )
        ends.append(simulate(program, ranks=int(np.prod(list(shape.values())))).results[0])
    for ended in ends[1:]:
        assert ended.difference(ends[0]) <= K_RANKS
    assert ends[0].difference(cases.alone()) > 0.01  # something was dropped


def test_masks_differ_by_step_copy_micro_batch_and_layer() -> None:
    """What is dropped in a Sequential of dropouts, after which nothing is scaled back: the zeros tell."""
    seen: list[tuple[float, ...]] = []

    class Watched(mg.nn.Dropout):
        """Notes its mask."""

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            """Any shape."""
            seen.append(tuple((super().forward(mg.Tensor(np.ones(40))).data == 0).astype(float)))
            return x

    def program(comm: Any) -> None:
        rng = np.random.default_rng(0)
        model = mg.nn.Sequential(mg.nn.Linear(3, 3, rng=rng), Watched(0.5, rng=rng), Watched(0.5, rng=rng))
        replica = Hybrid(model, Mesh(comm, dp=2), np.zeros((1, 3), np.float32), micro_batches=2)
        for _ in range(2):
            replica.model.loss(np.zeros((2, 3), np.float32), np.zeros(2, int))

    simulate(program, ranks=2)
    masks = [mask for mask in seen if any(mask)]  # none are dropped while the stages learn their sizes
    assert len(masks) == len(set(masks)) == 2 * 2 * 2 * 2


def test_a_run_goes_on_from_a_state_of_one_process_and_back() -> None:
    """The optimizer's state and the weights pass through `whole()` and `load_state_dict` without a change."""

    def program(comm: Any) -> float:
        replica = cases.replica_on(comm, {"dp": 2, "pp": 2, "tp": 2}, 2, zero1=True)
        before = cases.trained(replica)
        optimizer = replica.make_optimizer(optim.AdamW, lr=1e-2)
        optimizer.load_state_dict(before.optimizer)
        with replica.whole() as whole:
            whole.load_state_dict({name: 2 * array for name, array in before.weights.items()})
        with replica.whole() as whole:
            doubled = {name: array / 2 for name, array in whole.state_dict().items()}
        after = cases.Ended(before.numbers, doubled, optimizer.state_dict())
        return after.difference(before)

    assert set(simulate(program, ranks=8).results) == {0.0}


def test_a_rank_keeps_its_layers_only() -> None:
    def program(comm: Any) -> list[int]:
        model = cases.model()
        names = dict(model.named_parameters())
        Hybrid(model, comm, cases.DATA.batch(np.arange(2))[0], micro_batches=2)
        return [i for i in range(4) if all(0 not in p.data.strides for n, p in names.items() if f"blocks.{i}." in n)]

    assert simulate(program, ranks=2).results == [[0, 1], [2, 3]]


# ------------------------------------------------------------------------------------------------------ mesh


@pytest.mark.parametrize("order", ["dp,pp,tp", "tp,pp,dp", "pp,tp,dp"])
def test_axes_have_the_ranks_that_differ_in_them_alone(order: str) -> None:
    def program(comm: Any) -> tuple[dict[str, int], dict[str, list[int]]]:
        mesh = Mesh(comm, dp=2, pp=3, tp=2, order=order)
        assert mesh.rank_of(**mesh.place) == comm.Get_rank()
        return mesh.place, {axis: getattr(mesh, axis).allgather(comm.Get_rank()) for axis in mesh.shape}

    results = simulate(program, ranks=12).results
    places = [place for place, _ in results]
    assert len({tuple(place.values()) for place in places}) == 12
    for place, lines in results:
        for axis, members in lines.items():
            others = [{**place, axis: position} for position in range(len(members))]
            assert [places[member] for member in members] == others
    nearest = order.split(",")[-1]
    assert results[0][1][nearest][:2] == [0, 1]


def test_the_order_of_the_ranks_decides_what_crosses_between_nodes() -> None:
    """Two nodes of four ranks: with tp last its messages stay inside, with tp first all of them cross."""

    def between_nodes(order: str) -> int:
        shape = {"dp": 2, "pp": 2, "tp": 2, "order": order}
        program = lambda comm: cases.on_mesh(comm, shape, 2)  # noqa: E731
        matrix = communication_matrix(simulate(program, ranks=8).spans, 8).bytes
        return int(matrix[:4, 4:].sum() + matrix[4:, :4].sum())

    assert 3 * between_nodes("dp,pp,tp") < between_nodes("tp,pp,dp")


# ------------------------------------------------------------------------------------------------- bad input


def refused(ranks: int, sentence: str, kind: type[Exception] = ValueError, **arguments: Any) -> None:
    def program(comm: Any) -> None:
        shape = arguments.pop("shape", {"pp": ranks})
        cases.replica_on(comm, shape, **{"micro_batches": 2, **arguments})

    with pytest.raises(kind, match=sentence):
        simulate(program, ranks=ranks)


def test_bad_input() -> None:
    refused(4, "dp=2 x pp=3 x tp=1 = 6 must be the number of ranks, 4", shape={"dp": 2, "pp": 3})
    refused(2, "pp=0 must be at least 1", shape={"pp": 0, "dp": 2})
    refused(2, "order='dp,pp' must name dp, pp and tp once each", shape={"pp": 2, "order": "dp,pp"})
    refused(7, "stages=7 must be at least 1 and at most the 6 layers", micro_batches=7)
    refused(2, "schedule='pipedream' updates the weights on its way", schedule="pipedream")
    refused(2, "name='fast' must be one of naive", schedule="fast")
    refused(3, "stages=3 must be even", schedule="dualpipe", micro_batches=6)
    refused(2, "by='size' must be one of layers, parameters, measured", by="size")


def test_what_cannot_be_cut() -> None:
    def program(comm: Any, model: mg.nn.Module, shape: dict[str, int]) -> None:
        Hybrid(model, Mesh(comm, **shape), np.zeros((2, 3), np.float32), micro_batches=2)

    mlp = mg.nn.MLP([3, 4, 2])
    with pytest.raises(TypeError, match="tp=2 cuts up the layers of a GPT, got a MLP"):
        simulate(program, ranks=2, args=(mlp, {"tp": 2}))
    with pytest.raises(TypeError, match="model is a Linear, must be a Sequential or a GPT"):
        simulate(program, ranks=2, args=(mlp.layers[0], {"pp": 2}))
    with pytest.raises(ValueError, match=r"rank 1 of the pipeline would have nothing to learn: its stages \[1\] of 3"):
        simulate(program, ranks=3, args=(mlp, {"pp": 3}))


def test_a_rank_with_another_batch_is_found_out() -> None:
    """A rank that is given fewer micro-batches' worth refuses; one that never comes is waited for, and named."""

    def program(comm: Any) -> None:
        replica = cases.replica_on(comm, {"pp": 2}, 2)
        inputs, targets = cases.DATA.batch(np.arange(4))
        if comm.Get_rank() == 0:
            replica.model.loss(inputs, targets)

    with pytest.raises(DeadlockError, match="rank 0 waits"):
        simulate(program, ranks=2)
