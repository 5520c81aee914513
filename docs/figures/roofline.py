"""The roofline of an A100 in 16 bits: below the slope memory decides, below the roof arithmetic does."""

from __future__ import annotations

import math

from drawing import Drawing

from parallel.cluster import DEVICES

DEVICE = DEVICES["A100 40GB"]
PEAK, BANDWIDTH = DEVICE.flops["float16"], DEVICE.memory_bandwidth
LEFT, BOTTOM, WIDTH, HEIGHT = 84, 372, 630, 284
X0, X1, Y0, Y1 = -2.0, 4.0, 10.0, 15.0  # decades of FLOP/byte and of FLOP/s


def products(n: int) -> float:
    """FLOPs for each byte of a square product in 16 bits: 2 n^3 over three matrices."""
    return 2 * n**3 / (3 * n**2 * 2)


OPERATIONS = (
    ("add", 1 / 6, "blue"),
    ("layer norm", 7 / 4, "blue"),
    ("GELU", 33 / 4, "blue"),
    ("64 x 64 product", products(64), "orange"),
    ("512 x 512 product", products(512), "orange"),
    ("4,096 x 4,096", products(4096), "orange"),
)


def at(intensity: float, rate: float) -> tuple[float, float]:
    """Place of a point on both logarithmic axes."""
    x = LEFT + WIDTH * (math.log10(intensity) - X0) / (X1 - X0)
    y = BOTTOM - HEIGHT * (math.log10(rate) - Y0) / (Y1 - Y0)
    return x, y


def draw() -> Drawing:
    """The roof, the slope, and where operations stand on them."""
    picture = Drawing(760, 446, "Roofline of an A100: operations of few FLOPs a byte are limited by memory")
    picture.text(20, 32, "What an A100 can reach, in 16 bits", align="left", bold=True, size=17)
    for decade in range(int(X0), int(X1) + 1):
        x, _ = at(10.0**decade, 10.0**Y0)
        picture.line(x, BOTTOM, x, BOTTOM - HEIGHT, ink="off", thickness=1)
        picture.text(x, BOTTOM + 20, f"{10.0**decade:,g}", size=14, ink="soft")
    for decade, name in ((10, "10 GFLOP/s"), (11, "100 G"), (12, "1 T"), (13, "10 T"), (14, "100 T"), (15, "1 P")):
        _, y = at(1.0, 10.0**decade)
        picture.line(LEFT, y, LEFT + WIDTH, y, ink="off", thickness=1)
        picture.text(LEFT - 8, y + 5, name if decade > 10 else "10 G", align="right", size=14, ink="soft")
    ridge = PEAK / BANDWIDTH
    picture.curve([at(10.0**X0, BANDWIDTH * 10.0**X0), at(ridge, PEAK), at(10.0**X1, PEAK)], thickness=3)
    x, y = at(ridge, PEAK)
    picture.line(x, y, x, BOTTOM, ink="soft", dash="4 4", thickness=1.5)
    picture.text(x + 8, BOTTOM - 12, f"ridge: {ridge:.0f}", align="left", size=14, ink="soft")
    picture.text(LEFT + WIDTH, y - 12, f"{PEAK / 1e12:.0f} TFLOP/s: arithmetic decides", align="right", size=14.5)
    words = f"{BANDWIDTH / 1e9:,.0f} GB/s: memory decides"
    picture.text(LEFT + 20, at(1.0, 3e12)[1] - 34, words, align="left", size=14.5)
    for name, intensity, ink in OPERATIONS:
        rate = min(PEAK, BANDWIDTH * intensity)
        x, y = at(intensity, rate)
        picture.circle(x, y, 6, fill=ink)
        shift, down, align = (0, 26, "middle") if intensity > ridge else (12, 8, "left")
        if intensity > ridge / 2:  # no room to its right
            shift, down, align = (shift, down, align) if intensity > ridge else (-12, 0, "right")
        picture.text(x + shift, y + down, name, align=align, size=14, ink=ink)
    picture.text(LEFT + WIDTH / 2, BOTTOM + 44, "FLOPs for each byte moved", size=14.5)
    picture.text(20, 436, "Blue: element-wise, each operand read once. Orange: matrix products.", align="left", size=14,
                 ink="soft")  # fmt: skip
    return picture
