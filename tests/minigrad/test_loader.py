"""DataLoader: order, look-ahead, errors, and no worker left behind."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from programs import loader_cases as cases  # workers are processes of their own, and import it by this name

from minigrad.data import DataLoader, DistributedSampler, WorkerError, batches_from

WAYS = [(0, False), (1, False), (3, False), (1, True), (2, True)]


@pytest.fixture(autouse=True)
def _no_worker_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before
    assert children_of(os.getpid()) == []


def children_of(pid):
    """Living child processes that Python started to load data."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = path.read_text().rsplit(")", 1)
            command = (path.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(rest.split()[1]) == pid and rest.split()[0] != "Z" and "spawn_main" in command:
            found.append(int(name.split()[0]))
    return found


def sampler():
    return DistributedSampler(20, 4, seed=3)


@pytest.mark.parametrize(("workers", "processes"), WAYS)
def test_the_order_is_the_samplers_whoever_works(workers, processes):
    expected = [np.asarray(indices) ** 2 for indices in islice(sampler(), 12)]
    loader = DataLoader(cases.Squares(slow=True), islice(sampler(), 12), workers=workers, processes=processes)
    found = list(loader)
    assert len(found) == 12
    for (squares, pid), wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(squares, wanted)
        assert (pid != os.getpid()) == processes


def test_augmentation_does_not_depend_on_the_workers_nor_on_where_a_run_begins():
    def load(first=0, **options):
        indices = islice(batches_from(sampler(), first), 8 - first)
        loader = DataLoader(cases.Squares(), indices, transform=cases.jitter, seed=5, first=first, **options)
        return [squares for squares, _ in loader]

    expected = load()
    assert not np.array_equal(expected[0] % 1, expected[1] % 1)
    for options in ({"workers": 3}, {"workers": 2, "processes": True}, {"workers": 1, "prefetch": 7}):
        for one, other in zip(expected, load(**options), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(expected[5:], load(first=5, workers=2), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("prefetch", [1, 2, 5])
def test_an_endless_sampler_is_read_only_so_far_ahead(prefetch):
    asked = []

    def endless():
        for number in count():
            asked.append(number)
            yield np.array([number])

    batches = iter(DataLoader(cases.Squares(), endless(), workers=1, prefetch=prefetch))
    for taken in range(1, 5):
        next(batches)
        assert len(asked) == taken + prefetch
    batches.close()


def test_loading_overlaps_with_computing():
    class Sleeping:
        def batch(self, indices):
            time.sleep(0.02)
            return indices

    def seconds(workers):
        start = time.perf_counter()
        for _ in DataLoader(Sleeping(), [np.array([0])] * 10, workers=workers):
            time.sleep(0.02)
        return time.perf_counter() - start

    assert seconds(1) < 0.8 * seconds(0)  # by the model 10 x 0.02 and one to fill, against 20 x 0.02


@pytest.mark.parametrize(("workers", "processes"), WAYS)
def test_an_error_shows_where_in_the_worker_it_arose(workers, processes):
    indices = [np.array([number]) for number in range(6)]
    loader = DataLoader(cases.Squares(fails_at=2), indices, workers=workers, processes=processes)
    batches = iter(loader)
    assert [int(next(batches)[0][0]) for _ in range(2)] == [0, 1]  # those before it still come
    with pytest.raises(WorkerError, match=r"batch 2 could not be loaded: KeyError: 'no example 2'") as failure:
        next(batches)
    assert "in broken" in str(failure.value)
    assert "loader_cases.py" in str(failure.value)
    assert list(batches) == []


def test_a_worker_that_dies_is_reported_and_not_waited_for():
    loader = DataLoader(cases.Dying(), [np.array([0])] * 3, workers=2, processes=True)
    with pytest.raises(WorkerError, match="batch 0 could not be loaded: BrokenProcessPool"):
        list(loader)


@pytest.mark.parametrize(("workers", "processes"), WAYS)
def test_leaving_the_loop_early_stops_the_workers(workers, processes):
    loader = DataLoader(cases.Squares(), sampler(), workers=workers, processes=processes)  # endless
    for number, _ in enumerate(loader):
        if number == 2:
            break
    assert len(list(zip(range(2), loader, strict=False))) == 2  # and it can be gone through again


def test_a_killed_parent_leaves_no_orphans():
    script = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
        import numpy as np
        from programs.loader_cases import Squares
        from minigrad.data import DataLoader
        if __name__ == "__main__":
            for _, pid in DataLoader(Squares(), [np.array([0])] * 1000, workers=2, processes=True):
                print(pid, flush=True)
                time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    workers = children_of(process.pid)
    assert worker in workers
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() and not is_zombie(pid) for pid in workers):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.02)


def is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"workers": 1, "prefetch": 0}])
def test_numbers_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=next(reversed(wrong))):
        DataLoader(cases.Squares(), [], **wrong)


@pytest.mark.parametrize("start", [0, 1, 4, 5, 6, 23])
def test_a_cursor_goes_on_where_the_sampler_would(start):
    expected = list(islice(sampler(), start, start + 7))
    for one, other in zip(expected, islice(batches_from(sampler(), start), 7), strict=True):
        np.testing.assert_array_equal(one, other)
