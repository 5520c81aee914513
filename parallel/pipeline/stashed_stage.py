"""A stage that updates its weights while micro-batches are under way, and keeps the versions that they still read.

PipeDream calls it weight stashing. Which version an action reads follows from the schedule's rule (see versions.py);
this is the code that obeys it.
"""

from collections.abc import Callable, Sequence

import minigrad as mg
from minigrad.optim import Optimizer
from parallel.pipeline.module_stage import ModuleStage
from parallel.pipeline.schedule import Schedule
from parallel.pipeline.stage import Array, Sizes, Stage
from parallel.pipeline.versions import Versions, weight_versions


class StashedStage(Stage):
    """A ModuleStage of an asynchronous schedule. It lasts for one run, in which each micro-batch is a mini-batch.

    Args:
        stage: what it runs; its weights must be no other stage's, each of which would update them in its own time.
        number: its number among the stages of the schedule.
        schedule: an asynchronous schedule.
        make_optimizer: called with the weights.

    Attributes:
        delays: of each update, by how many versions the weights of its gradient are older than those that it was
            subtracted from.
        most_versions: the most versions of its weights that it has kept at one time.

    Raises:
        ValueError: the schedule is a synchronous one, or another stage has one of the weights too.

    Source: Narayanan et al., PipeDream: generalized pipeline parallelism for DNN training (2019), section 3.3.
    """

    def __init__(
        self,
        stage: ModuleStage,
        number: int,
        schedule: Schedule,
        make_optimizer: Callable[[Sequence[mg.nn.Parameter]], Optimizer],
    ) -> None:
        if schedule.synchronous:
            raise ValueError(f"schedule={schedule.name!r} is synchronous: no stage updates its weights on the way")
        for name, other in stage.shared_with.items():
            raise ValueError(
                f"schedule={schedule.name!r} is asynchronous and cannot train {name!r}, a weight that stages {number} "
                f"and {other} share: each would update it in its own time"
            )
        self.stage = stage
        # Of the micro-batches that are not finished.
        self.versions = {i: read for (held, i), read in weight_versions(schedule).items() if held == number}
        self.update_every = schedule.update_every
        self.weights = [weight for weight in stage.module.parameters() if weight.requires_grad]
        self.optimizer = make_optimizer(self.weights) if self.weights else None
        self.arrays: dict[int, list[Array]] = {0: [weight.data for weight in self.weights]}  # by version
        self.newest = 0
        self.group: list[Versions] = []  # of the micro-batches whose gradients make the next update
        self.delays: list[int] = []
        self.most_versions = 1

    def forward(self, micro_batch: int, x: Array, targets: Array | None) -> Array:
        """Run the stage with the version that this micro-batch's F reads."""
        self._read(self.versions[micro_batch].forward)
        return self.stage.forward(micro_batch, x, targets)

    def backward_input(self, micro_batch: int, grad: Array) -> Array | None:
        """Go back to the input with the version that its B reads."""
        self._read(self.versions[micro_batch].backward)
        return self.stage.backward_input(micro_batch, grad)

    def backward_weight(self, micro_batch: int) -> None:
        """Compute the gradients, and update the weights when those of a group are complete."""
        self._read(self.versions[micro_batch].backward)
        self.stage.backward_weight(micro_batch)
        self._finish(micro_batch)

    def backward(self, micro_batch: int, grad: Array) -> Array | None:
        """Do both in one sweep."""
        self._read(self.versions[micro_batch].backward)
        dx = self.stage.backward(micro_batch, grad)
        self._finish(micro_batch)
        return dx

    def sizes(self) -> Sizes:
        """Return what the stage was made for."""
        return self.stage.sizes()

    def count(self, targets: Array) -> int:
        """Return over how many targets its loss is the mean."""
        return self.stage.count(targets)

    def _read(self, version: int) -> None:
        """Let the weights be those of a version.

        Their counter of writes stays at 0: it would stop a backward that reads other weights than its forward, which
        is what happens without stashing, and is to be shown.
        """
        for weight, array in zip(self.weights, self.arrays[version], strict=True):
            weight.data = array
            weight.version[0] = 0

    def _finish(self, micro_batch: int) -> None:
        self.group.append(self.versions.pop(micro_batch))
        if len(self.group) == self.update_every:
            self._update()
        self._read(self.newest)

    def _update(self) -> None:
        """Make the next version from the gradients of a group: in its own arrays, if the one before is read again."""
        self.delays.append(max(versions.delay for versions in self.group))
        self.group = []
        wanted = {version for each in self.versions.values() for version in (each.forward, each.backward)}
        arrays = self.arrays[self.newest]
        if self.newest in wanted:
            arrays = [array.copy() for array in arrays]
        self.arrays = {version: kept for version, kept in self.arrays.items() if version in wanted}
        self.newest += 1
        self.arrays[self.newest] = arrays
        self.most_versions = max(self.most_versions, len(self.arrays))
        self._read(self.newest)
        if self.optimizer is not None:
            self.optimizer.step()
            self.optimizer.zero_grad()
