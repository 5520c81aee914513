"""Layers are ignorant of the next: every import of both packages is read and held against one table.

The imports are read from the source with `ast`, those inside functions too, so that an import which no test happens
to run is seen as well. A new module needs a row in LAYERS; a heavy library in a new place needs one in HEAVY.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("minigrad", "parallel")

# What each layer may import besides itself: a layer is a file or folder right below a package, "" the package's own
# __init__.py. Names with a dot belong to the other package.
ENGINE = {"device", "kernels", "modes", "function", "autograd", "ops", "operators", "axes", "tensor"}
TOOLS = {"gradcheck", "anomaly", "graph", "jacobian", "split_backward"}
LIBRARY = ENGINE | TOOLS | {"nn", "optim", "data", "trace", "serialize"}
TRAINING = LIBRARY | {
    "train", "plots", "precision", "recompute", "randomness", "checkpoint", "curvature", "profile", "allocation",
}  # fmt: skip
EVERY_MINIGRAD = {f"minigrad.{layer}" for layer in TRAINING} | {"minigrad"}
STRATEGIES = {
    "charged_operations", "data_parallel", "sharded", "sync_batch_norm", "tensor_parallel", "server", "pipeline",
    "mesh", "hybrid",
}  # fmt: skip
BELOW_STRATEGIES = {"collectives", "comm", "cluster"}
EVERY_PARALLEL = BELOW_STRATEGIES | STRATEGIES | {"ring_attention", "studies", "plots"}
FRONT_DOOR = (
    TRAINING | {"", "cli", "commands", "course"} | {f"parallel.{layer}" for layer in EVERY_PARALLEL} | {"parallel"}
)

LAYERS: dict[str, dict[str, set[str]]] = {
    "minigrad": {
        "": TRAINING,
        "allocation": set(),
        "device": set(),
        "trace": set(),
        "kernels": {"device"},
        "modes": {"function"},  # for the type checker only, as are the two "tensor" below
        "function": {"device", "modes"},
        "autograd": {"device", "modes", "function"},
        "ops": {"device", "kernels", "autograd"},
        "operators": {"device", "autograd", "ops", "tensor"},
        "axes": {"device", "autograd", "ops", "operators", "tensor"},
        "tensor": {"device", "autograd", "ops", "operators", "axes"},
        "nn": ENGINE | {"serialize"},
        "anomaly": {"device", "autograd"},
        "graph": ENGINE,
        "jacobian": ENGINE,
        "split_backward": ENGINE,
        "optim": {"device", "kernels"},
        "data": {"device", "serialize", "trace"},
        "serialize": {"device"},
        "gradcheck": ENGINE,
        "precision": ENGINE | {"nn", "optim"},
        "randomness": {"nn"},
        "recompute": ENGINE | {"nn", "randomness"},
        "checkpoint": {"device", "nn", "serialize", "randomness"},
        "curvature": ENGINE | {"nn"},
        "profile": ENGINE | {"nn", "trace"},
        "train": LIBRARY | {"precision", "randomness", "checkpoint"},
        "plots": {"train", "trace"},
        "cli": FRONT_DOOR,
        "__main__": {"cli"},
        "commands": FRONT_DOOR,
        "course": FRONT_DOOR,
    },
    "parallel": {
        "": EVERY_PARALLEL,
        "collectives": set(),
        "cluster": set(),
        "comm": {"collectives", "cluster", "minigrad.trace"},  # the closed forms of collectives
        **dict.fromkeys(STRATEGIES, BELOW_STRATEGIES | EVERY_MINIGRAD),
        "sharded": BELOW_STRATEGIES | {"data_parallel"} | EVERY_MINIGRAD,
        "hybrid": BELOW_STRATEGIES
        | {"data_parallel", "sharded", "tensor_parallel", "pipeline", "mesh"}
        | EVERY_MINIGRAD,
        "ring_attention": BELOW_STRATEGIES | EVERY_MINIGRAD | {"tensor_parallel"},  # its operators, for second order
        "studies": BELOW_STRATEGIES | STRATEGIES | {"ring_attention", "plots"} | EVERY_MINIGRAD,
        "plots": {"minigrad.trace"},
    },
}

# Where each library that is slow to load, or may be missing, is imported: in as few files as can be.
HEAVY: dict[str, tuple[str, ...]] = {
    "mpi4py": (
        "parallel/collectives/arrays.py",
        "parallel/collectives/shared_memory.py",
        "parallel/comm/clock.py",
        "parallel/comm/lost.py",
        "parallel/studies/collectives/worker.py",
        "parallel/comm/mpi.py",
        "parallel/comm/spawn.py",
        "parallel/pipeline/sleeping.py",
        "parallel/studies/async_logistic.py",
        "parallel/studies/equivalence.py",
        "parallel/studies/links/worker.py",
        "minigrad/commands/train.py",
        "minigrad/course/mpi_worker.py",
    ),
    "greenlet": ("parallel/comm/scheduler.py",),
    "cupy": ("minigrad/device.py", "minigrad/kernels/launch_cuda.py"),
    "matplotlib": (
        "minigrad/plots.py",
        "minigrad/course/showing.py",
        "minigrad/curvature/plots.py",
        "minigrad/profile/plots.py",
        "parallel/cluster/picture.py",
        "parallel/plots/*.py",
        "parallel/studies/*/plot.py",
        "parallel/studies/*/pictures/*.py",
    ),
    "PIL": ("parallel/plots/pipeline_film.py",),
    "hypothesis": ("minigrad/course/*.py",),
    "rich": ("minigrad/commands/*.py",),
    "safetensors": ("minigrad/serialize.py",),
    "ml_dtypes": ("minigrad/precision.py",),
    "sklearn": ("minigrad/data/digits.py",),
    "threadpoolctl": ("minigrad/commands/*.py", "minigrad/train/threads.py"),
}


class Import(NamedTuple):
    """One import statement: where it stands, what it names, and when it runs."""

    file: str  # relative to the root
    line: int
    module: str  # dotted, and a module rather than a name in one, where it is ours
    at_load: bool  # not inside a function, nor only for the type checker

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def imports_of(root: Path, file: str) -> Iterator[Import]:
    """Every import of a file, those in functions and for the type checker included."""

    def visit(node: ast.AST, at_load: bool) -> Iterator[Import]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_load = False
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            at_load = False
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name, at_load) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            origin = absolute(node, file)
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                yield Import(file, node.lineno, whole if file_of(root, whole) else origin, at_load)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_load)

    return visit(ast.parse((root / file).read_text(encoding="utf-8")), True)


def absolute(node: ast.ImportFrom, file: str) -> str:
    """The module that a `from` statement names, with leading dots resolved."""
    package = list(Path(file).parent.parts)
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])


def file_of(root: Path, module: str) -> str | None:
    """The file of one of our modules, or None when it is a name in a module or not ours."""
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module.split(".")[0] in PACKAGES and (root / candidate).is_file():
            return candidate.as_posix()
    return None


def all_imports(root: Path) -> list[Import]:
    """Every import of both packages."""
    files = [
        path.relative_to(root).as_posix() for package in PACKAGES for path in sorted((root / package).rglob("*.py"))
    ]
    return [found for file in files for found in imports_of(root, file)]


def layer_of(module: str) -> tuple[str, str]:
    """The (package, layer) of one of our modules: `minigrad.ops.linear` is in ("minigrad", "ops")."""
    package, *rest = module.split(".")
    return package, rest[0] if rest else ""


def layer_of_file(file: str) -> tuple[str, str]:
    """The (package, layer) of a file: `minigrad/ops/linear.py` is in ("minigrad", "ops")."""
    package, *rest = Path(file).with_suffix("").parts
    return package, "" if rest == ["__init__"] else rest[0]


def upward_imports(root: Path) -> list[str]:
    """The imports that LAYERS does not allow."""
    refused = []
    for found in all_imports(root):
        target = layer_of(found.module)
        if target[0] not in PACKAGES:
            continue
        package, layer = layer_of_file(found.file)
        name = target[1] if target[0] == package else ".".join(filter(None, target))
        if (package, layer) != target and name not in LAYERS[package].get(layer, set()):
            refused.append(str(found))
    return refused


def stray_imports(root: Path) -> list[str]:
    """Imports of heavy libraries outside their files, and of libraries that are no dependency."""
    refused = []
    for found in all_imports(root):
        library = found.module.partition(".")[0]
        if library in sys.stdlib_module_names or library in (*PACKAGES, "numpy", "__future__"):
            continue
        if not any(fnmatch(found.file, pattern) for pattern in HEAVY.get(library, ())):
            refused.append(str(found))
    return refused


def loaded_by(root: Path, module: str) -> set[str]:
    """The files that `import module` runs: its own, its packages', and those that they import as they load."""
    pending, loaded = [module], set()
    while pending:
        parts = pending.pop().split(".")
        for end in range(1, len(parts) + 1):
            file = file_of(root, ".".join(parts[:end]))
            if file and file not in loaded:
                loaded.add(file)
                pending += [found.module for found in imports_of(root, file) if found.at_load]
    return loaded


def heavy_at_load(root: Path) -> list[str]:
    """The heavy imports that `import minigrad` or `import parallel` would run."""
    files = {file for package in PACKAGES for file in loaded_by(root, package)}
    imports = [found for file in sorted(files) for found in imports_of(root, file) if found.at_load]
    return [str(found) for found in imports if found.module.partition(".")[0] in HEAVY]


def test_no_layer_imports_the_next() -> None:
    assert upward_imports(ROOT) == []


def test_every_file_has_a_layer() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    layers = {layer_of_file(path.relative_to(ROOT).as_posix()) for path in files}
    assert [layer for layer in layers if layer[1] not in LAYERS[layer[0]]] == []


def test_heavy_libraries_are_imported_in_few_places() -> None:
    assert stray_imports(ROOT) == []


def test_importing_a_package_loads_no_heavy_library() -> None:
    assert heavy_at_load(ROOT) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of both packages, to plant faults in."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line", "module"),
    [
        ("minigrad/device.py", "import minigrad.tensor", "minigrad.tensor"),
        ("minigrad/device.py", "import minigrad", "minigrad"),
        ("minigrad/kernels/cpu.py", "def late():\n    from minigrad import ops", "minigrad.ops"),
        ("minigrad/tensor.py", "from . import nn", "minigrad.nn"),
        ("minigrad/ops/linear.py", "from ..tensor import Tensor", "minigrad.tensor"),
        ("minigrad/autograd.py", "from parallel import simulate", "parallel"),
        ("parallel/comm/__init__.py", "from minigrad.tensor import Tensor", "minigrad.tensor"),
        ("parallel/collectives/__init__.py", "import parallel.comm", "parallel.comm"),
        ("parallel/cluster/__init__.py", "from parallel.studies import staleness", "parallel.studies.staleness"),
    ],
)
def test_a_planted_upward_import_is_refused(copy: Path, file: str, line: str, module: str) -> None:
    with (copy / file).open("a") as source:
        source.write(f"\n{line}\n")
    before = upward_imports(ROOT)
    refused = [found for found in upward_imports(copy) if found not in before]
    assert [found.partition(" imports ")[2] for found in refused] == [module]
    assert refused[0].startswith(f"{file}:")


def test_a_planted_heavy_import_is_refused(copy: Path) -> None:
    with (copy / "minigrad/device.py").open("a") as source:
        source.write("\ndef picture():\n    import matplotlib.pyplot\n")
    assert any("device.py" in found and "matplotlib" in found for found in stray_imports(copy))
    assert not any("matplotlib" in found for found in heavy_at_load(copy))
    with (copy / "minigrad/device.py").open("a") as source:
        source.write("\nimport greenlet\nimport pandas\n")
    assert any("greenlet" in found for found in heavy_at_load(copy))
    assert any("pandas" in found for found in stray_imports(copy))
