"""Collects what the parity tests measured into docs/parity.md, when asked to: `--parity-table docs/parity.md`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HEAD = """# Parity with PyTorch

The largest difference of values and gradients between minigrad and PyTorch {version}, relative to the largest
magnitude. Allowed are 1e-10 in float64 and 1e-5 in float32. Optimizers that PyTorch does not have, or has in another
form, are held against a scalar loop written from their paper. Made by `make parity`.

| kind | what | float64 | float32 |
|---|---|---|---|
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The place of the table."""
    parser.addoption("--parity-table", metavar="FILE", help="write the differences found to FILE")


@pytest.fixture
def parity(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Say what a test measured: parity(kind, name, dtype, difference)."""

    def record(kind: str, name: str, dtype: Any, difference: float) -> None:
        record_property("parity", (kind, name, np.dtype(dtype).name, difference))

    return record


class Table:
    """Rows by kind and name, as the tests report them."""

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a test's measurement."""
        if report.when == "call":
            for name, value in report.user_properties:
                if name == "parity":
                    kind, what, dtype, difference = value
                    self.rows[kind, what][dtype] = max(difference, self.rows[kind, what].get(dtype, 0.0))

    def write(self, path: Path) -> None:
        """The page."""
        import torch

        lines = [
            f"| {kind} | {what} | {self.cell(found, 'float64')} | {self.cell(found, 'float32')} |"
            for (kind, what), found in self.rows.items()
        ]
        head = HEAD.format(version=torch.__version__.split("+")[0])
        path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")

    @staticmethod
    def cell(found: dict[str, float], dtype: str) -> str:
        """A difference, or nothing where it was not measured."""
        return f"{found[dtype]:.1e}" if dtype in found else ""


def pytest_configure(config: pytest.Config) -> None:
    """Collect only when there is a place to write to."""
    if config.getoption("--parity-table", default=None):
        config.pluginmanager.register(Table(), "parity-table")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the table after a run without failures; a table of half the truth is none."""
    table = session.config.pluginmanager.get_plugin("parity-table")
    if table is not None and exitstatus == 0:
        table.write(Path(session.config.getoption("--parity-table")))
