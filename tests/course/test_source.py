"""Functions are emptied and replaced, and nothing around them changes."""

from __future__ import annotations

import ast

import pytest

from minigrad.course import cuda_source, source
from minigrad.course.process import REFERENCE
from minigrad.course.table import EXERCISES
from minigrad.course.workspace import place

BEFORE = "# above\nimport math\n\n\n"
AFTER = "\n\n# below\ndef other(x):\n    return x\n"
STUB = 'raise NotImplementedError("exercise 00: f")\n'


@pytest.mark.parametrize(
    ("function", "emptied"),
    [
        ("def f(x):\n    return x\n", "def f(x):\n    {}"),
        ("def f(x):\n    # the trick\n    return x\n    # told again\n", "def f(x):\n    {}"),
        ('def f(x):\n    """Doc."""\n    # the trick\n    return x\n', 'def f(x):\n    """Doc."""\n    {}'),
        ('def f(x):\n    """A\n\n    B"""\n\n    return x\n', 'def f(x):\n    """A\n\n    B"""\n    {}'),
        ('def f(x):\n    """Doc only."""\n', 'def f(x):\n    """Doc only."""\n    {}'),
        ("def f(x): return x\n", "def f(x):\n    {}"),
        ("@cache\ndef f(\n    x: int = (1),  # one: a colon\n    *,\n    y={1: 2},\n) -> dict[str, int]:\n"
         "    # no\n    return x\n",
         "@cache\ndef f(\n    x: int = (1),  # one: a colon\n    *,\n    y={{1: 2}},\n) -> dict[str, int]:\n    {}"),
        ("def f(\n    x,\n):\n\n    return x\n", "def f(\n    x,\n):\n    {}"),
        ("async def f(x):\n    return x\n", "async def f(x):\n    {}"),
        ("def f(x):\n    def inner():\n        return 1\n    return inner\n", "def f(x):\n    {}"),
    ],
)  # fmt: skip
def test_hollow_takes_the_body_and_nothing_else(function: str, emptied: str) -> None:
    found = source.hollow(BEFORE + function + AFTER, "f", "exercise 00: f")
    assert found == BEFORE + emptied.format(STUB) + AFTER
    assert source.is_hollow(found, "f")
    assert not source.is_hollow(BEFORE + function.replace('"""Doc only."""', "pass") + AFTER, "f")


@pytest.mark.parametrize("path", [path for row in EXERCISES for path in row.paths if not row.is_cuda])
def test_every_asked_function_can_be_emptied_and_put_back(path: str) -> None:
    file, name = place(path)
    text = (REFERENCE / file).read_text()
    empty = source.hollow(text, name, "exercise 00: x")
    assert source.is_hollow(empty, name)
    assert source.graft(empty, text, name) == text
    # Read as a tree, only this function's body differs.
    one, other = ast.parse(text), ast.parse(empty)
    source.find(one, name).body = source.find(other, name).body = [ast.Pass()]
    assert ast.dump(one) == ast.dump(other)


def test_methods_are_found_in_their_class_and_the_last_definition_counts() -> None:
    text = "class A:\n    def f(self): return 1\nclass B:\n    def f(self): return 2\n"
    text += "def f(): return 3\ndef f(): return 4\n"
    assert source.text_of(text, "B.f") == "    def f(self): return 2\n"
    assert source.text_of(text, "f") == "def f(): return 4\n"
    with pytest.raises(source.MissingFunctionError, match=r"no function A\.g"):
        source.text_of(text, "A.g")


def test_graft_brings_what_only_the_donor_has() -> None:
    reference = "import math\n\nLIMIT = 1\n\n\ndef given():\n    return 1\n\n\ndef f(x):\n    return x\n"
    donor = (
        "import math\nimport itertools as it\nimport os\n\nLIMIT = 2\nMINE = 3\n\ndef given():\n    return 99\n\n"
        "def mine():\n    return second()\n\ndef second():\n    return MINE\n\ndef unused():\n    pass\n\n"
        "def f(x):\n    return x + mine() + LIMIT + given() + len(list(it.repeat(1, 2)))\n"
    )
    grafted = source.graft(reference, donor, "f")
    space: dict[str, object] = {}
    exec(compile(grafted, "grafted", "exec"), space)
    assert space["f"](10) == 10 + 3 + 1 + 1 + 2  # type: ignore[operator]
    assert "99" not in grafted
    assert "unused" not in grafted
    assert "import os" not in grafted


def test_graft_into_a_class_brings_helper_methods() -> None:
    reference = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
    donor = "class A:\n    def f(self):\n        return self.mine() + self.g()\n"
    donor += "    def mine(self):\n        return 5\n    def g(self):\n        return 99\n"
    space: dict[str, object] = {}
    exec(compile(source.graft(reference, donor, "A.f"), "grafted", "exec"), space)
    assert space["A"]().f() == 7  # type: ignore[operator]


def test_cuda_bodies_are_found_by_their_braces() -> None:
    head, tail = "void g() { f(1); }\n// f(int) {\n__global__ void f(int n) {", "}\nvoid h() {}\n"
    text = head + "\n  char c = '}'; /* } */\n  s(\"}{\");\n  if (n) { g(); }\n" + tail
    empty = cuda_source.hollow(text, "f", "exercise 00: f")
    assert empty == head + "\n    // exercise 00: f\n" + tail
    assert cuda_source.graft(empty, text, "f") == text
    with pytest.raises(source.MissingFunctionError):
        cuda_source.hollow(text, "k", "")


def test_cuda_kernels_of_the_project_can_be_emptied() -> None:
    text = (REFERENCE / "minigrad/kernels/cuda/gelu.cu").read_text()
    empty = cuda_source.hollow(text, "gelu_exact_slope", "exercise 00: gelu_exact_slope")
    assert cuda_source.is_hollow(empty, "gelu_exact_slope")
    assert not cuda_source.is_hollow(text, "gelu_exact_slope")
    assert len(empty.splitlines()) < len(text.splitlines())
    assert cuda_source.graft(empty, text, "gelu_exact_slope") == text


@pytest.mark.parametrize("path", [path for row in EXERCISES for path in row.paths if row.is_cuda])
def test_every_asked_kernel_can_be_emptied_and_put_back(path: str) -> None:
    file, name = place(path)
    text = (REFERENCE / file).read_text()
    empty = cuda_source.hollow(text, name, "exercise 00: x")
    assert cuda_source.is_hollow(empty, name)
    assert cuda_source.graft(empty, text, name) == text


def test_a_grafted_kernel_keeps_the_numbers_of_its_lines() -> None:
    donor = "// mine\n\nvoid f(int n) {\n  g();\n}\n"
    assert cuda_source.line_of(donor, "f") == 3
    grafted = cuda_source.graft("void f(int n) { }\n", donor, "f", called="mine.cu")
    assert grafted == 'void f(int n) {\n#line 3 "mine.cu"\n\n  g();\n}\n'
