"""The picture of exercise 22: the running pair along a row, and the sum that is never rescaled."""

from typing import Any

import numpy as np

BLOCK = 4


def row() -> Any:
    """A row that climbs, so that the peak changes often."""
    return (np.linspace(0, 6, 48) + np.random.default_rng(3).standard_normal(48))[None]


def run(case: dict[str, Any]) -> Any:
    """The pair after each block, by the function; and the softmax."""
    from minigrad.kernels.online_softmax import column_blocks, join_block, online_softmax_forward

    x = row()
    peak, total = np.full((1, 1), -np.inf), np.zeros((1, 1))
    peaks, totals = [], []
    for part in column_blocks(x.shape[1], BLOCK):
        peak, total = join_block(peak, total, x[:, part])
        peaks.append(float(peak[0, 0]))
        totals.append(float(total[0, 0]))
    return {"peaks": np.array(peaks), "totals": np.array(totals), "y": online_softmax_forward(x, BLOCK)[0]}


def draw(figure: Any, data: dict[str, Any]) -> None:
    """The row with the peak above it; the sum with and without the factor; the softmax."""
    x = row()[0]
    ends = np.arange(BLOCK, len(x) + 1, BLOCK)
    left, middle, right = figure.subplots(1, 3)
    left.plot(x, ".", color="#2f7fbf", label="x")
    left.step(ends - 1, data["peaks"], where="post", color="#dd6f1a", label="your peak")
    left.set(title="the largest entry so far", xlabel="column")
    left.legend(frameon=False)
    before = np.concatenate(([-np.inf], data["peaks"][:-1]))
    added = [np.exp(x[end - BLOCK : end] - peak).sum() for end, peak in zip(ends, data["peaks"], strict=True)]
    exact = [np.exp(x[:end] - peak).sum() for end, peak in zip(ends, data["peaks"], strict=True)]
    middle.plot(ends, exact, "o", mfc="none", color="#08305c", label="all columns added up again")
    middle.plot(ends, data["totals"], color="#dd6f1a", label="your total")
    middle.plot(ends, np.cumsum(added), "--", color="#999999", label="never rescaled")
    for end in ends[data["peaks"] > before]:
        middle.axvline(end, color="#dddddd", lw=0.8, zorder=0)
    middle.set(title="the sum so far (lines: the peak rose)", xlabel="column")
    middle.legend(frameon=False)
    right.bar(np.arange(len(x)), data["y"], color="#2f7fbf")
    right.set(title=f"your softmax, sum {data['y'].sum():.6f}", xlabel="column")
