"""Messages of arrays through an observed communicator. Each call does what the communicator's own does."""

from typing import Any

from parallel.comm.errors import ANY_SOURCE, ANY_TAG
from parallel.comm.observed.core import bytes_of, rank_text, tag_text
from parallel.comm.observed.posting import Posting, from_text
from parallel.comm.observed.request import ObservedRequest


class Messages(Posting):
    """Capital-letter point-to-point calls."""

    def Send(self, buf: Any, dest: int, tag: int = 0) -> None:
        """As the communicator's own."""
        self._send("Send", "Isend", buf, bytes_of, dest, tag)

    def Ssend(self, buf: Any, dest: int, tag: int = 0) -> None:
        """As the communicator's own."""
        self._send("Ssend", "Issend", buf, bytes_of, dest, tag)

    def Recv(self, buf: Any, source: int = ANY_SOURCE, tag: int = ANY_TAG, status: Any = None) -> None:
        """As the communicator's own."""
        start = self.clock()
        status = status if status is not None else self.new_status()
        if self._limited:
            receive = self.observed.Irecv(buf, source, tag)
            call = from_text("Recv", source, tag)
            self._wait([receive], call, [source], [status], receive)
        else:
            self.observed.Recv(buf, source, tag, status)
        self._note_received("Recv", start, status)

    def Sendrecv(
        self,
        sendbuf: Any,
        dest: int,
        sendtag: int = 0,
        recvbuf: Any = None,
        source: int = ANY_SOURCE,
        recvtag: int = ANY_TAG,
        status: Any = None,
    ) -> None:
        """As the communicator's own."""
        start = self.clock()
        status = status if status is not None else self.new_status()
        self._enter_sent(dest, sendtag)
        if self._limited:
            call = f"Sendrecv to {dest} tag {sendtag}, from {rank_text(source)} {tag_text(recvtag)}"
            receive = self.observed.Irecv(recvbuf, source, recvtag)
            send = self.observed.Isend(sendbuf, dest, sendtag)
            self._wait([receive, send], call, [source, dest], [status, self.new_status()], receive)
        else:
            self.observed.Sendrecv(sendbuf, dest, sendtag, recvbuf, source, recvtag, status)
        self._note_sent("Sendrecv", start, bytes_of(sendbuf), dest, sendtag)
        self._note_received("Sendrecv", start, status)

    def Sendrecv_replace(
        self,
        buf: Any,
        dest: int,
        sendtag: int = 0,
        source: int = ANY_SOURCE,
        recvtag: int = ANY_TAG,
        status: Any = None,
    ) -> None:
        """As the communicator's own."""
        if self._limited:
            array = buf[0] if isinstance(buf, list | tuple) else buf
            self.Sendrecv(array.copy(), dest, sendtag, buf, source, recvtag, status)
            return
        start = self.clock()
        status = status if status is not None else self.new_status()
        self._enter_sent(dest, sendtag)
        self.observed.Sendrecv_replace(buf, dest, sendtag, source, recvtag, status)
        self._note_sent("Sendrecv_replace", start, bytes_of(buf), dest, sendtag)
        self._note_received("Sendrecv_replace", start, status)

    def Isend(self, buf: Any, dest: int, tag: int = 0) -> ObservedRequest:
        """As the communicator's own; the span ends with the request's Wait."""
        return self._begin_send(ObservedRequest, "Isend", buf, bytes_of, dest, tag)

    def Issend(self, buf: Any, dest: int, tag: int = 0) -> ObservedRequest:
        """As the communicator's own; the span ends with the request's Wait."""
        return self._begin_send(ObservedRequest, "Issend", buf, bytes_of, dest, tag)

    def Irecv(self, buf: Any, source: int = ANY_SOURCE, tag: int = ANY_TAG) -> ObservedRequest:
        """As the communicator's own; the span ends with the request's Wait."""
        return self._begin_receive(ObservedRequest, "Irecv", buf, source, tag)

    def Probe(self, source: int = ANY_SOURCE, tag: int = ANY_TAG, status: Any = None) -> bool:
        """As the communicator's own."""
        return self._probe("Probe", "Iprobe", source, tag, status)
