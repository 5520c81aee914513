"""How the site is built: `make docs`, or `sphinx-build -W -b html docs docs/_build/html`."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "extensions")]

from minigrad import __version__  # noqa: E402

project = "minigrad"
author = "the minigrad authors"
copyright = "the minigrad authors"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "api_pages",
    "benchmark_pages",
    "docstring_text",
    "mathml",
    "notebook_links",
    "unlisted_pages",
]
exclude_patterns = ["_build", "figures", "extensions", "**/.ipynb_checkpoints"]

# Notebooks are executed here, every time they or this configuration change, and any exception ends the build.
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "attrs_inline", "attrs_block"]
myst_heading_anchors = 3

default_role = "code"  # a single backtick in a docstring means code
suppress_warnings = ["ref.python"]  # attributes of two classes may share a name, such as Span.start and Entry.start
autodoc_mock_imports = ["cupy"]  # it is not where there is no GPU, and its kernels have docstrings too
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Yields", "returns_style")]
python_maximum_signature_line_length = 100
add_module_names = False
viewcode_follow_imported_members = False

html_theme = "furo"
html_title = "minigrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6fb2", "color-brand-content": "#1f6fb2"},
    "dark_css_variables": {"color-brand-primary": "#63b0ee", "color-brand-content": "#63b0ee"},
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# The notebooks live in notebooks/, where a student opens them. Sphinx reads only what lies below docs/, so each
# build takes copies (docs/notebooks/.gitignore keeps them out of the repository), from which the way to pages and
# figures is shorter. Only a notebook that changed is written: a newer file would be executed again.
for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
    target = DOCS / "notebooks" / notebook.name
    text = notebook.read_text(encoding="utf-8").replace("../docs/", "../")
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
for copy in (DOCS / "notebooks").glob("*.ipynb"):
    if not (ROOT / "notebooks" / copy.name).exists():
        copy.unlink()
