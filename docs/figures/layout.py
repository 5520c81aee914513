"""Where 32 ranks of a mesh stand: four machines, copies (dp) of a pipeline (pp) of shared layers (tp)."""

from __future__ import annotations

from drawing import Drawing

from parallel import simulate
from parallel.mesh import Mesh

NODES, PER_NODE = 4, 8
SHAPE = {"dp": 2, "pp": 4, "tp": 4}
INKS = ("blue", "orange", "green", "purple")
LEFT, TOP, CELL, GAP = 34, 92, 64, 8


def draw() -> Drawing:
    """A row for each machine; a device has its stage as colour."""
    places = simulate(lambda comm: Mesh(comm, **SHAPE).place, ranks=NODES * PER_NODE, trace=False).results
    picture = Drawing(760, 470, "32 devices on four machines: two copies of a pipeline of four stages, each on four")
    picture.text(20, 32, "2 copies x 4 stages x 4 ranks to each layer = 32 devices on 4 machines", align="left",
                 bold=True, size=17)  # fmt: skip
    order = "The mesh counts dp, pp, tp: those that send most to one another are neighbours"
    picture.text(20, 58, order, align="left", ink="soft", size=15)
    for node in range(NODES):
        y = TOP + 84 * node
        picture.rect(LEFT - 12, y - 8, PER_NODE * (CELL + GAP) + 34, 72, fill="card", stroke="line")
        picture.text(LEFT + PER_NODE * (CELL + GAP) + 30, y + 32, f"machine {node}", align="left", ink="soft", size=14)
        for local in range(PER_NODE):
            place = places[node * PER_NODE + local]
            x = LEFT + local * (CELL + GAP) + (10 if local >= SHAPE["tp"] else 0)
            ink = INKS[place["pp"]]
            picture.rect(x, y, CELL, 56, fill=ink, radius=5, opacity=0.85 if place["dp"] == 0 else 0.4)
            written = "paper" if place["dp"] == 0 else "ink"
            for down, words, weight in ((24, f"stage {place['pp']}", 650), (44, f"part {place['tp']}", 400)):
                picture.tag("text", words, x=float(x + CELL / 2), y=float(y + down), font_size=14,
                            text_anchor="middle", style=f"fill:var(--{written});font-weight:{weight}")  # fmt: skip
    for y, words in (
        (442, "Strong: the first copy of the model. Pale: the second. The four parts of a stage are in one machine;"),
        (460, "stages hand activations on; the copies of each part add their gradients up between machines."),
    ):
        picture.text(20, y, words, align="left", ink="soft", size=14.5)
    return picture
