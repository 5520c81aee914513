"""Pictures of runs, drawn from Spans only, and of numbers measured over many runs.

matplotlib is loaded when the first picture is drawn. No window is ever opened: a function returns its figure, which a
notebook shows, and saves it where a path is given.
"""

from parallel.plots.animation import message_animation
from parallel.plots.crossover import crossover_plot, crossovers
from parallel.plots.matrix import CommunicationMatrix, communication_heat_map, communication_matrix
from parallel.plots.pipeline import pipeline_bars, pipeline_timeline
from parallel.plots.pipeline_film import pipeline_animation
from parallel.plots.scaling import scaling_plot
from parallel.plots.timeline import message_timeline
from parallel.plots.timeline_page import html_timeline
from parallel.plots.waits import find_circle, wait_for_graph

__all__ = [
    "CommunicationMatrix",
    "communication_heat_map",
    "communication_matrix",
    "crossover_plot",
    "crossovers",
    "find_circle",
    "html_timeline",
    "message_animation",
    "message_timeline",
    "pipeline_animation",
    "pipeline_bars",
    "pipeline_timeline",
    "scaling_plot",
    "wait_for_graph",
]
