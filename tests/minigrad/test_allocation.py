"""Whether a step's memory stays with the process, seen in the page faults of a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from minigrad.allocation import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("no glibc")
def step():
    arrays = [np.ones(1 << 20, np.float32) for _ in range(4)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is of glibc")
def test_the_second_step_touches_no_new_page() -> None:
    runs = {
        word: subprocess.run([sys.executable, "-c", FAULTS, word], capture_output=True, text=True)
        for word in ("keep", "give")
    }
    if "no glibc" in runs["keep"].stderr:
        pytest.skip("no glibc")
    assert int(runs["keep"].stdout) < 50 < int(runs["give"].stdout)
