"""What fills a device that trains GPT-2 XL, and what each remedy takes away."""

from __future__ import annotations

from drawing import Drawing

from minigrad.nn import GPT2
from parallel.sharded import bytes_per_parameter
from parallel.tensor_parallel.cost import layer_activations

XL, SEQUENCES, RANKS = GPT2["gpt2-xl"], 4, 8
ROWS = (  # stage of ZeRO, without the scores, only inputs of blocks
    ("one device", 0, "everything"),
    ("no scores kept", 0, "selective"),
    ("only inputs kept", 0, "inputs"),
    ("and ZeRO 1", 1, "inputs"),
    ("and ZeRO 3", 3, "inputs"),
)
PARTS = (("parameters", "blue"), ("gradients", "orange"), ("optimizer", "green"), ("activations", "purple"))
LEFT, TOP, ROW, SCALE = 160, 100, 56, 8.4  # pixels; SCALE a gigabyte


def gigabytes(stage: int, keep: str) -> list[float]:
    """The four parts of a row."""
    count = XL.parameter_count() / 1e9
    whole = {"parameter": 0.0, "gradient": 0.0, "optimizer": 0.0}
    sizes = {"parameter": 2.0, "gradient": 2.0, "optimizer": 12.0}
    parts = [count * bytes_per_parameter(stage, RANKS, **{**whole, name: size}) for name, size in sizes.items()]
    block = layer_activations(XL.block_size, SEQUENCES, XL.n_embd, XL.n_head)
    kept = {
        "everything": XL.n_layer * block,
        "selective": XL.n_layer * layer_activations(XL.block_size, SEQUENCES, XL.n_embd, XL.n_head, selective=True),
        "inputs": XL.n_layer * 2 * XL.block_size * SEQUENCES * XL.n_embd + block,  # one block at work
    }
    return [*parts, (kept[keep] + 4 * XL.block_size * XL.vocab_size * SEQUENCES) / 1e9]


def draw() -> Drawing:
    """A bar for each remedy, in four parts."""
    picture = Drawing(760, 418, "What fills a device that trains GPT-2 XL, and what each remedy takes away")
    picture.text(20, 32, f"GB on a device: GPT-2 XL, {SEQUENCES} sequences of 1,024 tokens, 16 bits", align="left",
                 bold=True, size=17)  # fmt: skip
    for number, (name, ink) in enumerate(PARTS):
        picture.rect(20 + 140 * number, 52, 18, 18, fill=ink, radius=3, opacity=0.6)
        picture.text(20 + 140 * number + 26, 66, name, align="left", size=14.5)
    limit = LEFT + SCALE * 32
    for row, (name, stage, keep) in enumerate(ROWS):
        y, x = TOP + ROW * row, float(LEFT)
        picture.text(LEFT - 12, y + 24, name, align="right", bold=True, size=14.5)
        parts = gigabytes(stage, keep)
        for (_, ink), size in zip(PARTS, parts, strict=True):
            picture.rect(x, y, SCALE * size, 36, fill=ink, radius=0, opacity=0.6)
            x += SCALE * size
        x += limit - x if limit - 50 < x < limit else 0  # not across the line
        picture.text(x + 8, y + 24, f"{sum(parts):.1f}", align="left", bold=True)
    picture.line(limit, TOP - 12, limit, TOP + ROW * len(ROWS) - 12, dash="5 4")
    picture.text(limit + 6, TOP + ROW * len(ROWS) + 6, "32 GB: a V100", align="left", ink="soft", size=14)
    picture.text(20, 406, f"ZeRO here on {RANKS} ranks", align="left", ink="soft", size=14)
    return picture
