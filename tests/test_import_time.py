"""`import minigrad` and `import parallel` are quick, and load nothing but NumPy."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT = 0.3  # seconds of processor time beyond Python's own start; wall time would depend on the neighbours
REPEATS = 5  # the best counts
LAZY = ("mpi4py", "greenlet", "matplotlib", "cupy", "rich", "scipy", "safetensors", "threadpoolctl")
ROOT = Path(__file__).parent.parent


def run(code: str) -> str:
    """What a fresh Python prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=ROOT).stdout


@pytest.mark.parametrize("package", ["minigrad", "parallel"])
def test_import_is_quick(package: str) -> None:
    code = f"import time; start = time.process_time(); import {package}; print(time.process_time() - start)"
    times = []
    for _ in range(REPEATS):
        times.append(float(run(code)))
        if min(times) < LIMIT:
            break
        time.sleep(0.2)
    assert min(times) < LIMIT


@pytest.mark.parametrize("package", ["minigrad", "parallel"])
def test_import_loads_no_heavy_library(package: str) -> None:
    loaded = run(f"import sys, {package}; print(*sys.modules)").split()
    assert "numpy" in loaded or package == "parallel"
    assert [library for library in LAZY if library in loaded] == []
