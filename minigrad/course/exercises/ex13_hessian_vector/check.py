"""Exercise 13: displaced parameters, the difference of gradients, and the exact product."""

from typing import Any

import numpy as np

Case = dict[str, Any]


def moved_case(shapes: Any, dtype: str = "float64", raises: bool = False, seed: int = 0) -> Case:
    """One `with moved(...)` block, which may raise."""
    return {
        "function": "moved", "shapes": [tuple(shape) for shape in shapes], "dtype": dtype, "raises": raises,
        "seed": seed,
    }  # fmt: skip


def difference_case(loss: str, eps: float = 0.1, central: bool = False, length: float = 1.0, seed: int = 0) -> Case:
    """One call of difference_product."""
    return {
        "function": "difference_product", "loss": loss, "eps": eps, "central": central, "length": length, "seed": seed,
    }  # fmt: skip


def exact_case(loss: str, products: int = 1, seed: int = 0) -> Case:
    """One Hessian, and its products with some vectors."""
    return {"function": "Hessian.__matmul__", "loss": loss, "products": products, "length": 1.0, "seed": seed}


CASES: list[Case] = [
    moved_case([(2,)]),
    moved_case([(2,), (2, 2)]),
    moved_case([(3,)], dtype="float32"),
    moved_case([(2,)], raises=True),
    difference_case("squares"),
    difference_case("cubes"),
    difference_case("cubes", eps=0.01),
    difference_case("cubes", length=2.0),
    difference_case("cubes", central=True),
    difference_case("coupled"),
    difference_case("coupled", central=True, eps=0.02),
    difference_case("absent"),
    difference_case("cubes", eps=0.0),
    difference_case("cubes", eps=-0.1),
    exact_case("squares"),
    exact_case("cubes"),
    exact_case("coupled"),
    exact_case("coupled", products=2),
    exact_case("absent"),
    exact_case("linear"),
]


def strategies(st: Any) -> dict[str, Any]:
    """Hypothesis strategies for more cases of each function."""
    losses, seeds = st.sampled_from(["squares", "cubes", "coupled", "absent"]), st.integers(0, 1000)
    shapes = st.lists(st.sampled_from([(1,), (2,), (2, 2)]), min_size=1, max_size=2)
    return {
        "moved": st.builds(moved_case, shapes, st.just("float64"), st.booleans(), seeds),
        "difference_product": st.builds(
            difference_case, losses, st.sampled_from([0.1, 0.01]), st.booleans(), st.sampled_from([1.0, 2.0]), seeds
        ),
        "Hessian.__matmul__": st.builds(exact_case, losses, st.integers(1, 2), seeds),
    }


def run(case: Case) -> Any:
    """Call the function under check."""
    from minigrad import Tensor
    from minigrad.curvature import products

    if case["function"] == "moved":
        return displaced(products.moved, Tensor, case)
    x, y, vectors = numbers(case)
    parameters = [Tensor(x.copy(), requires_grad=True), Tensor(y.copy(), requires_grad=True)]

    def loss() -> Any:
        return tensor_loss(case["loss"], *parameters)

    if case["function"] == "difference_product":
        vector = vectors[0].copy()
        found = products.difference_product(loss, parameters, vector, case["eps"], central=case["central"])
        came_back = all(np.array_equal(p.data, a) for p, a in zip(parameters, (x, y), strict=True))
        return {
            "H v": found,
            "parameters afterwards": "as they were" if came_back else "not as they were",
            "vector afterwards": "as it was" if np.array_equal(vector, vectors[0]) else "was written to",
        }
    hessian = products.Hessian(loss, parameters)
    return {f"H v{number + 1}": hessian @ vectors[number] for number in range(case["products"])}


def displaced(moved: Any, tensor: Any, case: Case) -> Any:
    """What the parameters are inside the block and after it, to the bit."""
    rng = np.random.default_rng(case["seed"])
    arrays = [rng.standard_normal(shape).astype(case["dtype"]) for shape in case["shapes"]]
    parameters = [tensor(array.copy(), requires_grad=True) for array in arrays]
    displacement = rng.standard_normal(sum(array.size for array in arrays))
    inside: list[Any] = []
    try:
        with moved(parameters, displacement):
            inside = [np.array(parameter.data) for parameter in parameters]
            if case["raises"]:
                raise ArithmeticError
    except ArithmeticError:
        pass
    same = [np.array_equal(parameter.data, array) for parameter, array in zip(parameters, arrays, strict=True)]
    near = [np.allclose(parameter.data, array, atol=1e-5) for parameter, array in zip(parameters, arrays, strict=True)]
    afterwards = "the old bits" if all(same) else "near the old values, but other bits" if all(near) else "elsewhere"
    return {"inside": inside, "afterwards": afterwards}


def numbers(case: Case) -> tuple[Any, Any, Any]:
    """x (2,), y (2,), and two vectors of length 4."""
    rng = np.random.default_rng(case["seed"])
    vectors = rng.standard_normal((2, 4))
    vectors *= case["length"] / np.linalg.norm(vectors, axis=1, keepdims=True)
    return 0.5 * rng.standard_normal(2), 0.5 * rng.standard_normal(2), vectors


LOSSES = {
    "squares": "sum(x^2) + 3 sum(y^2)",
    "cubes": "sum(x^3) + sum(y^3)",
    "coupled": "sum(x^2) sum(y^3)",
    "absent": "sum(x^3), without y",
    "linear": "2 sum(x) + sum(y)",
}


def tensor_loss(name: str, x: Any, y: Any) -> Any:
    """The loss, as tensors compute it."""
    if name == "squares":
        return (x * x).sum() + (y * y).sum() * 3.0
    if name == "cubes":
        return (x * x * x).sum() + (y * y * y).sum()
    if name == "coupled":
        return (x * x).sum() * (y * y * y).sum()
    return (x * x * x).sum() if name == "absent" else x.sum() * 2.0 + y.sum()


def gradient(name: str, point: Any) -> Any:
    """Its gradient, worked out by hand."""
    x, y = point[:2], point[2:]
    pairs = {
        "squares": (2 * x, 6 * y),
        "cubes": (3 * x**2, 3 * y**2),
        "coupled": (2 * x * np.sum(y**3), 3 * y**2 * np.sum(x**2)),
        "absent": (3 * x**2, 0 * y),
        "linear": (2 + 0 * x, 1 + 0 * y),
    }
    return np.concatenate(pairs[name])


def numeric(case: Case) -> Any:
    """Differences of gradients that were worked out by hand."""
    if case["function"] == "moved" or case.get("eps", 1.0) <= 0:
        return None
    x, y, vectors = numbers(case)
    point = np.concatenate([x, y])
    if case["function"] == "difference_product":
        ahead = gradient(case["loss"], point + case["eps"] * vectors[0])
        behind = gradient(case["loss"], point - case["central"] * case["eps"] * vectors[0])
        return {"H v": (ahead - behind) / (case["eps"] * (1 + case["central"]))}
    return {
        f"H v{number + 1}": (gradient(case["loss"], point + 1e-5 * v) - gradient(case["loss"], point - 1e-5 * v)) / 2e-5
        for number, v in enumerate(vectors[: case["products"]])
    }


def call(case: Case) -> str:
    """What was called."""
    if case["function"] == "moved":
        return f"with moved(parameters, displacement): {'raise ArithmeticError' if case['raises'] else '...'}"
    if case["function"] == "difference_product":
        central = ", central=True" if case["central"] else ""
        return f"difference_product(loss, [x, y], vector, eps={case['eps']:g}{central})"
    return "Hessian(loss, [x, y]) @ vector" + (", then @ another vector" if case["products"] > 1 else "")


def inputs(case: Case) -> str:
    """With what."""
    if case["function"] == "moved":
        return f"parameters of shape {', '.join(map(str, case['shapes']))}, {case['dtype']}"
    x, y, vectors = numbers(case)
    shown = {"x": x, "y": y, "vector": vectors[0]}
    arrays = (f"{name} = {np.array2string(array, precision=4, separator=', ')}" for name, array in shown.items())
    return f"loss = {LOSSES[case['loss']]}, {', '.join(arrays)}"
