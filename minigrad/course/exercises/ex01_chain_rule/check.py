"""Exercise 01: tanh's derivative, the order of the walk, the sum at a leaf, and all three on a diamond."""

from typing import Any

import numpy as np

Case = dict[str, Any]

CASES: list[Case] = [
    {"function": "Tanh.backward", "shape": (1,), "seed": 0},
    {"function": "Tanh.backward", "shape": (2, 3), "seed": 1},
    {"function": "Tanh.backward", "shape": (), "seed": 2},
    {"function": "topological_order", "parents": [[]], "stop": []},
    {"function": "topological_order", "parents": [[1], []], "stop": []},
    {"function": "topological_order", "parents": [[1, None], []], "stop": []},
    {"function": "topological_order", "parents": [[1, 1], []], "stop": []},
    {"function": "topological_order", "parents": [[1, 2], [3], [3], []], "stop": []},
    {"function": "topological_order", "parents": [[1, 2], [2], [3], []], "stop": []},
    {"function": "topological_order", "parents": [[2, 1], [2], [3], []], "stop": []},
    {"function": "topological_order", "parents": [[1, 2], [3], [], []], "stop": [1]},
    {"function": "topological_order", "parents": [[i + 1] for i in range(3000)] + [[]], "stop": []},
    {"function": "accumulate_grad", "shape": (2,), "gradients": 1, "seed": 3, "recorded": False},
    {"function": "accumulate_grad", "shape": (2,), "gradients": 2, "seed": 4, "recorded": False},
    {"function": "accumulate_grad", "shape": (), "gradients": 3, "seed": 5, "recorded": False},
    {"function": "accumulate_grad", "shape": (2,), "gradients": 2, "seed": 6, "recorded": True},
    {"function": "backward", "diamonds": 0, "seed": 7},
    {"function": "backward", "diamonds": 1, "seed": 8},
    {"function": "backward", "diamonds": 3, "seed": 9},
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    seeds, shapes = st.integers(0, 1000), st.lists(st.integers(1, 3), max_size=2).map(tuple)

    @st.composite  # type: ignore[untyped-decorator]
    def graphs(draw: Any) -> Case:
        size = draw(st.integers(1, 7))
        parents = [
            draw(st.lists(st.integers(i + 1, size - 1), max_size=3)) if i < size - 1 else [] for i in range(size)
        ]
        return {"function": "topological_order", "parents": parents, "stop": []}

    return {
        "Tanh.backward": st.fixed_dictionaries({"function": st.just("Tanh.backward"), "shape": shapes, "seed": seeds}),
        "topological_order": graphs(),
        "accumulate_grad": st.fixed_dictionaries({
            "function": st.just("accumulate_grad"), "shape": shapes, "gradients": st.integers(1, 4), "seed": seeds,
            "recorded": st.booleans(),
        }),
        "backward": st.fixed_dictionaries(
            {"function": st.just("backward"), "diamonds": st.integers(0, 4), "seed": seeds}
        ),
    }  # fmt: skip


def run(case: Case) -> Any:
    """Call the functions under check; what comes back is compared with the same from the reference."""
    return {
        "Tanh.backward": run_tanh,
        "topological_order": run_order,
        "accumulate_grad": run_accumulate,
        "backward": run_backward,
    }[case["function"]](case)


def run_tanh(case: Case) -> Any:
    from minigrad.ops.elementwise import Tanh

    x, grad = numbers(case)
    return {"gradients": Tanh().backward(grad, np.tanh(x))}


def run_order(case: Case) -> Any:
    from minigrad.autograd import Function, topological_order
    from minigrad.tensor import Tensor

    nodes: list[Any] = [Function() if parents else Tensor(0.0, requires_grad=True) for parents in case["parents"]]
    for node, parents in zip(nodes, case["parents"], strict=True):
        if parents:
            node.parents = tuple(None if i is None else nodes[i] for i in parents)
    order = topological_order(nodes[0], stop=frozenset(id(nodes[i]) for i in case["stop"]))
    if type(order) is not list:
        return {"order": order}
    places = {id(node): index for index, node in enumerate(nodes)}
    return {"order": [places.get(id(node), -1) for node in order]}


def run_accumulate(case: Case) -> Any:
    from minigrad.tensor import Tensor

    rng = np.random.default_rng(case["seed"])
    leaf = Tensor(np.zeros(case["shape"]), requires_grad=True)
    gradients = [np.asarray(rng.standard_normal(case["shape"])) for _ in range(case["gradients"])]
    for gradient in gradients:
        leaf.accumulate_grad(Tensor(gradient) if case["recorded"] else gradient)
    grad = leaf.grad.data if isinstance(leaf.grad, Tensor) else leaf.grad
    return {"grad": grad, "first gradient afterwards": gradients[0]}


def run_backward(case: Case) -> Any:
    from minigrad.autograd import Function
    from minigrad.ops.elementwise import Tanh
    from minigrad.tensor import Tensor

    class Plus(Function):  # with a backward of its own: the package's calls functions of later exercises
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

        def backward(self, grad: Any) -> tuple[Any, Any]:
            return grad, grad  # the same array twice

    x = Tensor(start(case), requires_grad=True)
    y = Tanh.apply(x)
    for _ in range(case["diamonds"]):
        y = Plus.apply(Tanh.apply(y), y)
    y.backward()
    return {"x.grad": x.grad.data if isinstance(x.grad, Tensor) else x.grad}


def view(case: Case, output: Any) -> Any:
    """For an order, what is wrong with it: there may be several right ones."""
    if case["function"] != "topological_order" or not isinstance(output.get("order"), list):
        return output
    order, faults = output["order"], []
    reached, pending = set(), [0]
    while pending:
        node = pending.pop()
        if node not in reached:
            reached.add(node)
            pending += [] if node in case["stop"] else [i for i in case["parents"][node] if i is not None]
    faults += [f"node {node} is missing" for node in sorted(reached - set(order))]
    faults += [f"node {node} should not be there" for node in sorted(set(order) - reached)]
    faults += [
        f"node {node} is there {order.count(node)} times" for node in sorted(set(order)) if order.count(node) > 1
    ]
    place = {node: position for position, node in enumerate(order)}
    for node in sorted(reached & set(order)):
        for parent in [] if node in case["stop"] else case["parents"][node]:
            if parent is not None and place.get(parent, len(order)) < place[node]:
                faults.append(f"node {parent} comes before node {node}, which still has a gradient to send it")
    return {"the order": faults[0] if faults else "each node before its parents"}


def numeric(case: Case) -> Any:
    """Central differences, written without the engine."""
    if case["function"] == "Tanh.backward":
        x, grad = numbers(case)
        return {"gradients": (grad * (np.tanh(x + 1e-6) - np.tanh(x - 1e-6)) / 2e-6,)}
    if case["function"] == "backward":
        x = start(case)
        return {"x.grad": (value(x + 1e-6, case) - value(x - 1e-6, case)) / 2e-6}
    return None


def value(x: Any, case: Case) -> Any:
    """What `run_backward` differentiates."""
    y = np.tanh(x)
    for _ in range(case["diamonds"]):
        y = np.tanh(y) + y
    return y


def start(case: Case) -> Any:
    return np.random.default_rng(case["seed"]).standard_normal(())


def numbers(case: Case) -> tuple[Any, Any]:
    rng = np.random.default_rng(case["seed"])
    return np.asarray(rng.standard_normal(case["shape"])), np.asarray(rng.standard_normal(case["shape"]))


def call(case: Case) -> str:
    """What was called."""
    if case["function"] == "topological_order":
        stop = ", stop={id of node " + ", ".join(map(str, case["stop"])) + "}" if case["stop"] else ""
        return f"topological_order(node 0{stop})"
    return {
        "Tanh.backward": "Tanh().backward(grad, out)",
        "accumulate_grad": f"leaf.accumulate_grad(gradient), {case.get('gradients')} times",
        "backward": "y.backward()",
    }[case["function"]]


def inputs(case: Case) -> str:
    """With what."""
    if case["function"] == "topological_order":
        arrows = [f"{i} -> {', '.join(map(str, parents))}" for i, parents in enumerate(case["parents"]) if parents]
        shown = "; ".join(arrows[:6]) + ("; ..." if len(arrows) > 6 else "")
        return f"a graph of {len(case['parents'])} nodes, parents: {shown or 'none'}"
    if case["function"] == "backward":
        steps = "y = tanh(x)" + f", then {case['diamonds']} times y = tanh(y) + y" * (case["diamonds"] > 0)
        return f"{steps}, at x = {start(case):.6g}"
    if case["function"] == "accumulate_grad":
        first = np.asarray(np.random.default_rng(case["seed"]).standard_normal(case["shape"]))
        kind = "tensors" if case["recorded"] else "arrays"
        return f"{case['gradients']} gradients ({kind}) of shape {case['shape']}, the first {np.array2string(first)}"
    x, grad = numbers(case)
    return f"grad = {np.array2string(grad)}, out = tanh({np.array2string(x)})"
