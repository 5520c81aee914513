"""The documentation keeps its promises: programs print what stands below them, figures show what the code does."""

import contextlib
import doctest
import importlib.util
import io
import re
import sys
from pathlib import Path

import pytest

from minigrad.kernels.emulate import find_compiler

DOCS = Path(__file__).parent.parent / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    DOCS / f"{name}.md"
    for name in (
        "index", "start", "errata", "contributing", "optimizers", "training-techniques", "curvature",
        "profiling", "pictures", "debugging", "tensor-parallel", "clusters", "collectives",
        "data-parallel", "parameter-server", "staleness", "pipeline", "kernels",
        "how-it-works/graph", "how-it-works/ring", "how-it-works/simulation", "how-it-works/staleness",
        "how-it-works/memory", "how-it-works/roofline", "how-it-works/overlap", "how-it-works/tensor-parallel",
        "how-it-works/pipeline", "choosing",
    )
]  # fmt: skip


def examples(page: Path):
    """(program, what it should print or None) for each Python block of a page."""
    blocks = [(match.group(1), match.group(2)) for match in FENCE.finditer(page.read_text(encoding="utf-8"))]
    for position, (language, text) in enumerate(blocks):
        if language == "python":
            following = blocks[position + 1] if position + 1 < len(blocks) else ("", "")
            yield text, following[1] if following[0] == "text" else None


def run_page(page: Path) -> list[str]:
    """Run a page from top to bottom; the differences between what it says and what is printed."""
    names: dict[str, object] = {"__name__": page.stem}
    wrong = []
    for program, expected in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(program, str(page), "exec"), names)
        if expected is not None and printed.getvalue() != expected:
            wrong.append(f"{program}\nprints\n{printed.getvalue()}\nand not\n{expected}")
    return wrong


def needs_compiler() -> None:
    """Skip where CUDA cannot be run on the CPU."""
    try:
        find_compiler()
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_the_programs_of_a_page_print_what_it_says(page, tmp_path, monkeypatch):
    if "EmulatedModule" in page.read_text(encoding="utf-8"):
        needs_compiler()
    monkeypatch.chdir(tmp_path)  # some write pictures
    assert run_page(page) == []


def test_a_wrong_output_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n```text\n3\n```\n")
    assert len(run_page(page)) == 1


def test_committed_figures_are_those_that_the_scripts_draw(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "figures"))
    before = set(sys.modules)
    import make

    drawn = dict(make.figures())
    for name in set(sys.modules) - before:  # `graph`, `ring` and the like are short names; leave none behind
        if getattr(sys.modules[name], "__file__", None) and str(DOCS) in str(sys.modules[name].__file__):
            del sys.modules[name]
    assert len(drawn) >= 5
    for path, text in drawn.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run python docs/figures/make.py"


def loaded(path: Path):
    """A file of the site's machinery, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstrings_are_shown_as_they_were_written():
    module = loaded(DOCS / "extensions" / "docstring_text.py")
    results = doctest.testmod(module)
    assert results.attempted >= 2
    assert results.failed == 0


def test_broken_links_are_found(tmp_path):
    (tmp_path / "index.html").write_text(
        '<h1 id="top">A</h1><a href="b/page.html#here">1</a><a href="#top">2</a><a href="https://example.org/x">3</a>'
        '<a href="gone.html">4</a><a href="b/page.html#gone">5</a><img src="gone.svg">'
    )
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "page.html").write_text('<p id="here"></p><a href="../index.html">6</a>')
    found = loaded(DOCS / "check_links.py").broken_links(tmp_path)
    assert [line.split(": ")[1] for line in found] == ["gone.html", "b/page.html#gone", "gone.svg"]


def leads_nowhere(page: Path) -> list[str]:
    """The links of a Markdown page that name no file of the repository, where many read it."""
    nowhere = []
    for link in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        target = (page.parent / link).resolve()
        made_by_a_build = target.parent == DOCS / "notebooks" and target.suffix == ".ipynb"
        if not re.match(r"[a-z]+:", link) and (made_by_a_build or not target.exists()):
            nowhere.append(f"{page.relative_to(DOCS.parent)}: {link}")
    return nowhere


def test_a_page_links_to_what_is_in_the_repository():
    pages = [path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts)]
    assert [line for page in [DOCS.parent / "README.md", *pages] for line in leads_nowhere(page)] == []


def test_the_site_links_to_its_copies_of_the_notebooks():
    results = doctest.testmod(loaded(DOCS / "extensions" / "notebook_links.py"))
    assert results.attempted == 2
    assert results.failed == 0


def test_benchmarks_stand_one_level_down_and_all_of_them():
    module = loaded(DOCS / "extensions" / "benchmark_pages.py")
    text = "# A\n\n```sh\n# a comment\n```\n## B"
    assert module.one_level_down(text) == "## A\n\n```sh\n# a comment\n```\n### B"
    assert len(module.readmes()) >= 4
    assert module.LINE in (DOCS / "benchmarks.md").read_text(encoding="utf-8").splitlines()


def test_notebooks_are_kept_without_outputs():
    import json

    for path in sorted((DOCS.parent / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert notebook["metadata"]["kernelspec"]["name"] == "python3"
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                assert not cell["outputs"], path.name
                assert cell["execution_count"] is None, path.name
