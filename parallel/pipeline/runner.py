"""Running a schedule: the only code that turns actions into compute and messages.

It is plain MPI code. On `MPI.COMM_WORLD` it trains, on a simulated communicator it trains or, with costed stages,
gives a price.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from parallel.comm import new_status, region
from parallel.comm.abort import end_job_on_exception
from parallel.pipeline.batch import Batch, shares, split_batch
from parallel.pipeline.checker import check
from parallel.pipeline.messages import Message, received, sent
from parallel.pipeline.schedule import Action, Schedule, Step
from parallel.pipeline.stage import Array, Stage


def run(
    comm: Any,
    schedule: Schedule,
    stages: Sequence[Stage],
    inputs: Batch | None = None,
    targets: Batch | None = None,
    *,
    blocking: bool = False,
    checked: bool = False,
) -> float | None:
    """Run one batch forward and backward through the pipeline; the gradients are left in the stages.

    The loss of the batch is the mean over its targets. A micro-batch has a share in it, its number of targets over
    that of all, and its backward starts with this share: so the gradients are those of the batch in one piece, also
    where micro-batches differ in size. Where a stage stands on two ranks, each is left with the gradients of the
    micro-batches that it has served, and they have to be added up (see shared.py). Of an asynchronous schedule,
    whose stages update their weights on the way, a share is that in the loss of one update.

    Every action is a named region in the trace. The receives of a step are posted one step ahead, so that a transfer
    overlaps with the computation of both of its ranks.

    Args:
        comm: communicator with as many ranks as the schedule.
        schedule: what every rank does; the same on all ranks.
        stages: this rank's stages, one a chunk.
        inputs: the batch, (batch, ...), which is cut as equally as can be, or a list of micro-batches; needed on a
            rank that holds the first stage.
        targets: what the loss compares with, likewise; needed on a rank that holds the last stage.
        blocking: send with `Send` and receive with `Recv`, each when its turn has come. Not every schedule can run
            so, see `check`.
        checked: the caller has checked the schedule, as a training loop does once for all its steps.

    Returns:
        The loss on the rank that runs the last stage, None on the others. If two ranks run it, each has its part of
        a sum. Of an asynchronous schedule, the mean loss of the updates.

    Raises:
        ScheduleError: the schedule is wrong.
        ValueError: the schedule does not fit the communicator, the stages or the batch.

    Source: Huang et al., GPipe (2019), section 2.2.
    """
    if not checked:
        check(schedule, blocking)
    end_job_on_exception(comm)
    rank = comm.Get_rank()
    _refuse_misfits(comm, schedule, stages)
    worker = _Worker(comm, schedule, stages, blocking)
    held = schedule.placement[rank]
    if 0 in held:
        worker.inputs = split_batch("inputs", inputs, schedule.micro_batches)
    if schedule.stages - 1 in held:
        worker.targets = split_batch("targets", targets, schedule.micro_batches)
        last = stages[held.index(schedule.stages - 1)]
        worker.shares = shares([last.count(part) for part in worker.targets], schedule.update_every)
    try:
        worker.work(schedule.steps[rank])
    except Exception as error:
        error.add_note(worker.place())
        raise
    return worker.loss()


def _refuse_misfits(comm: Any, schedule: Schedule, stages: Sequence[Stage]) -> None:
    if comm.Get_size() != schedule.ranks:
        raise ValueError(f"schedule has {schedule.ranks} ranks, must be the communicator's {comm.Get_size()}")
    held = schedule.placement[comm.Get_rank()]
    if len(stages) != len(held):
        raise ValueError(f"stages has {len(stages)} stages, must be {len(held)}: stages {list(held)}")


class _Arrival(NamedTuple):
    """A receive that has been posted."""

    buffer: Array
    request: Any


class _Worker:
    """One rank during one run: its stages, its ends of the batch, and the messages under way."""

    def __init__(self, comm: Any, schedule: Schedule, stages: Sequence[Stage], blocking: bool) -> None:
        self.comm = comm
        self.schedule = schedule
        self.stages = stages
        self.blocking = blocking
        self.rank: int = comm.Get_rank()
        self.doing = Action("F", 0)
        self.status = new_status(comm)
        self.inputs: list[Array] = []
        self.targets: list[Array] = []
        self.shares: list[float] = []
        self.losses: dict[int, float] = {}  # by micro-batch
        self.wanted: dict[Action, Message | None] = {}  # what actions need, once it has been worked out
        self.arrivals: dict[Message, _Arrival] = {}
        self.sent_activations: dict[tuple[int, int], Any] = {}  # requests, by (chunk, micro-batch)
        self.sent_gradients: list[Any] = []
        self.outputs: dict[tuple[int, int], Array] = {}  # of (chunk, micro-batch): its gradient has this shape
        self.kept: dict[Message, Array] = {}  # messages from this rank to itself

    def work(self, steps: Sequence[Step]) -> None:
        """Do all steps, each with the receives of the next one posted before it computes."""
        for position, step in enumerate(steps):
            self._post(step, ahead=False)
            if position + 1 < len(steps):
                self._post(steps[position + 1], ahead=True)
            self._do(step)
        for request in [*self.sent_activations.values(), *self.sent_gradients]:
            request.Wait()

    def place(self) -> str:
        """Return where in the schedule the rank is, for whoever reads of an error there."""
        stage = self.schedule.stage_of(self.rank, self.doing)
        return f"in action {self.doing} of stage {stage} on rank {self.rank}, micro-batch {self.doing.micro_batch}"

    # ------------------------------------------------------------------------------------------- receiving

    def _post(self, step: Step, ahead: bool) -> None:
        """Post the receives of a step that are not posted yet; ahead of its time, as far as their shapes are known."""
        if self.blocking:
            return
        for action in step.actions:
            message = self._wants(action)
            if message is None or message.source == self.rank or message in self.arrivals:
                continue
            if ahead and action.kind != "F" and self._key(action) not in self.outputs:
                continue  # the gradient of an output that is yet to be computed
            self.doing = action if not ahead else self.doing
            buffer = self._buffer(action)
            self.arrivals[message] = _Arrival(buffer, self.comm.Irecv(buffer, message.source, message.tag))

    def _wants(self, action: Action) -> Message | None:
        """The message that an action needs."""
        if action not in self.wanted:
            self.wanted[action] = received(self.schedule, self.rank, action)
        return self.wanted[action]

    def _buffer(self, action: Action) -> Array:
        """An empty array for the input of an F, or for the output gradient of a B or BW."""
        if action.kind == "F":
            return self.stages[action.chunk].buffer()
        return np.empty_like(self.outputs[self._key(action)])

    def _receive(self, action: Action, message: Message) -> Array:
        if message.source == self.rank:
            return self.kept.pop(message)
        if self.blocking:
            buffer = self._buffer(action)
            self.comm.Recv(buffer, source=message.source, tag=message.tag, status=self.status)
        else:
            buffer, request = self.arrivals.pop(message)
            request.Wait(self.status)
            if action.kind != "F" and (activation := self.sent_activations.pop(self._key(action), None)):
                activation.Wait()  # its gradient has come back, so it has arrived long ago: keep it no longer
        nbytes = self.status.Get_count()
        if nbytes == buffer.nbytes:
            return buffer
        return buffer[: len(buffer) * nbytes // buffer.nbytes]  # a smaller micro-batch: fewer rows

    @staticmethod
    def _key(action: Action) -> tuple[int, int]:
        return action.chunk, action.micro_batch

    # ------------------------------------------------------------------------------------------- computing

    def _do(self, step: Step) -> None:
        """Receive what the actions need, compute one after the other, and send what follows from them."""
        operands: list[Array | None] = []
        results: list[Array | None] = []
        for self.doing in step.actions:
            operands.append(self._operand(self.doing))
        for self.doing, array in zip(step.actions, operands, strict=True):
            with region(self.comm, str(self.doing)):
                results.append(self._compute(self.doing, array))
        for self.doing, result in zip(step.actions, results, strict=True):
            message = sent(self.schedule, self.rank, self.doing)
            if message is not None:
                assert result is not None, f"{self.doing} returned nothing to send"
                self._send(self.doing, message, result)

    def _operand(self, action: Action) -> Array | None:
        """Return the input of an F or the output gradient of a B or BW: received, or made at the ends."""
        message = self._wants(action)
        if message is not None:
            del self.wanted[action]
            return self._receive(action, message)
        if action.kind == "F":
            return self.inputs[action.micro_batch]
        if action.kind == "W":
            return None
        return np.asarray(self.shares[action.micro_batch], self.outputs[self._key(action)].dtype)

    def _compute(self, action: Action, array: Array | None) -> Array | None:
        stage, micro_batch = self.stages[action.chunk], action.micro_batch
        if action.kind == "W":
            stage.backward_weight(micro_batch)
            return None
        assert array is not None
        if action.kind == "F":
            return self._forward(stage, action, array)
        del self.outputs[self._key(action)]
        return stage.backward_input(micro_batch, array) if action.kind == "B" else stage.backward(micro_batch, array)

    def _forward(self, stage: Stage, action: Action, x: Array) -> Array:
        is_last = self.schedule.stage_of(self.rank, action) == self.schedule.stages - 1
        output = stage.forward(action.micro_batch, x, self.targets[action.micro_batch] if is_last else None)
        self.outputs[self._key(action)] = output
        if is_last:
            self.losses[action.micro_batch] = float(output)
        return output

    def loss(self) -> float | None:
        """Return this rank's part of the mean loss."""
        if not self.losses:
            return None
        updates = self.schedule.micro_batches / (self.schedule.update_every or self.schedule.micro_batches)
        return sum(self.shares[i] * loss for i, loss in sorted(self.losses.items())) / updates

    # --------------------------------------------------------------------------------------------- sending

    def _send(self, action: Action, message: Message, array: Array) -> None:
        if message.dest == self.rank:
            self.kept[message] = array
            return
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        if self.blocking:
            self.comm.Send(array, dest=message.dest, tag=message.tag)
            return
        request = self.comm.Isend(array, dest=message.dest, tag=message.tag)  # holds the array until it is waited for
        if action.kind == "F":
            self.sent_activations[self._key(action)] = request
        else:
            self.sent_gradients.append(request)
