"""Three schedules of one pipeline on virtual time, drawn from `times`: where ranks wait, and what they keep."""

from __future__ import annotations

from drawing import Drawing

from parallel.pipeline import gpipe, one_f_one_b, peak_in_flight, times, zb_h1

RANKS, MICRO_BATCHES = 4, 6
ROWS = (
    ("GPipe: all forwards, then all backwards", gpipe),
    ("1F1B: as late, but a rank keeps less", one_f_one_b),
    ("ZB-H1: the weights' gradients (W) fill the holes", zb_h1),
)
INKS = {"F": "blue", "B": "orange", "BW": "orange", "W": "green"}
SCALE, LEFT, TOP, ROW, LANE = 21.5, 76, 62, 176, 32  # pixels a second, and where the rows lie


def draw() -> Drawing:
    """A row for each schedule, a lane for each rank."""
    picture = Drawing(760, 596, "GPipe, 1F1B and ZB-H1 on four ranks: when each rank works, waits, and what it keeps")
    title = f"{RANKS} stages, {MICRO_BATCHES} micro-batches; F, B and W take a second each"
    picture.text(20, 32, title, align="left", bold=True, size=17)
    for number, (name, make) in enumerate(ROWS):
        schedule = make(RANKS, MICRO_BATCHES)
        when, top = times(schedule), TOP + ROW * number
        picture.text(20, top + 16, name, align="left", bold=True, size=15)
        kept = peak_in_flight(schedule)
        for rank in range(RANKS):
            y = top + 28 + LANE * rank
            picture.text(LEFT - 10, y + 19, f"rank {rank}", align="right", ink="soft", size=14)
            picture.rect(LEFT, y, SCALE * when.makespan, LANE - 5, fill="off", radius=3)
            picture.text(LEFT + SCALE * when.makespan + 8, y + 19, f"keeps {kept[rank]}", align="left", size=14,
                         ink="soft")  # fmt: skip
        for cell, start in when.start.items():
            (action,) = schedule.steps[cell.rank][cell.position].actions
            y, width = top + 28 + LANE * cell.rank, SCALE * (when.end[cell] - start)
            x = LEFT + SCALE * start
            picture.rect(x + 0.75, y, width - 1.5, LANE - 5, fill=INKS[action.kind], radius=3, opacity=0.4)
            picture.text(x + width / 2, y + 19, f"{action.micro_batch}", size=14)
        busy = 3.0 * MICRO_BATCHES
        end = f"{when.makespan:g} s, of which a rank works {busy:g}"
        picture.text(740, top + 16, end, align="right", size=14)
    for x, ink, name in ((76, "blue", "F"), (130, "orange", "B, or B and W in one"), (330, "green", "W"),
                         (384, "off", "waits")):  # fmt: skip
        picture.rect(x, 572, 16, 14, fill=ink, radius=3, opacity=0.4 if ink != "off" else 1.0)
        picture.text(x + 24, 585, name, align="left", size=14, ink="soft")
    return picture
