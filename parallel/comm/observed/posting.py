"""What messages of arrays and of Python objects have in common when they are observed: the noting around each call."""

from collections.abc import Callable
from typing import Any, TypeVar

from parallel.comm.observed.core import Observer, rank_text, tag_text
from parallel.comm.observed.request import ObservedRequest

RequestKind = TypeVar("RequestKind", bound=ObservedRequest)


class Posting(Observer):
    """Sends, started sends and receives, and probes, under the name of the call that the program makes."""

    def _send(
        self, name: str, started: str, message: Any, nbytes: Callable[[Any], int], dest: int, tag: int
    ) -> None:
        """Send and wait.

        Args:
            name: The call.
            started: The call that does the same without waiting, for waiting within the limit.
            message: An array or an object.
            nbytes: Length of the message in bytes, asked when it has been taken.
            dest: Receiving rank.
            tag: Its tag.
        """
        start = self.clock()
        self._enter_sent(dest, tag)
        if self._limited:
            request = getattr(self.observed, started)(message, dest, tag)
            self._wait([request], f"{name} to {dest} tag {tag}", [dest])
        else:
            getattr(self.observed, name)(message, dest, tag)
        self._note_sent(name, start, nbytes(message), dest, tag)

    def _begin_send(
        self, kind: type[RequestKind], name: str, message: Any, nbytes: Callable[[Any], int], dest: int, tag: int
    ) -> RequestKind:
        """Start a send; its span ends when the request, of class `kind`, has been waited for."""
        start = self.clock()
        self._enter_sent(dest, tag)
        request = getattr(self.observed, name)(message, dest, tag)
        length = nbytes(message)  # now: the program may change an object before it waits

        def note(status: Any) -> None:
            self._note_sent(name, start, length, dest, tag)

        return kind(self, request, f"{name} to {dest} tag {tag}", note, [dest])

    def _begin_receive(self, kind: type[RequestKind], name: str, buf: Any, source: int, tag: int) -> RequestKind:
        """Start a receive; its span ends when the request, of class `kind`, has been waited for."""
        start = self.clock()
        request = getattr(self.observed, name)(buf, source, tag)

        def note(status: Any) -> None:
            self._note_received(name, start, status)

        return kind(self, request, from_text(name, source, tag), note, [source], receives=True)

    def _probe(self, name: str, asked: str, source: int, tag: int, status: Any) -> bool:
        """Wait for a message by the call `name`, or, where there is a limit, by asking again and again by `asked`."""
        if not self._limited:
            return bool(getattr(self.observed, name)(source, tag, status))
        look = getattr(self.observed, asked)
        self._wait_until(lambda: look(source, tag, status), from_text(name, source, tag), [source])
        return True


def from_text(name: str, source: int, tag: int) -> str:
    """A receive or probe as reports name it."""
    return f"{name} from {rank_text(source)} {tag_text(tag)}"
