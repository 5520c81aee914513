"""Messages of pickled Python objects through an observed communicator."""

import pickle
from typing import Any

from parallel.comm.errors import ANY_SOURCE, ANY_TAG
from parallel.comm.observed.core import rank_text, tag_text
from parallel.comm.observed.posting import Posting, from_text
from parallel.comm.observed.request import ObservedObjectRequest


class Objects(Posting):
    """Small-letter point-to-point calls. An object is pickled once more than without observer, to know its size."""

    def send(self, obj: Any, dest: int, tag: int = 0) -> None:
        """As the communicator's own."""
        self._send("send", "isend", obj, pickled_bytes, dest, tag)

    def ssend(self, obj: Any, dest: int, tag: int = 0) -> None:
        """As the communicator's own."""
        self._send("ssend", "issend", obj, pickled_bytes, dest, tag)

    def recv(self, buf: Any = None, source: int = ANY_SOURCE, tag: int = ANY_TAG, status: Any = None) -> Any:
        """As the communicator's own."""
        start = self.clock()
        status = status if status is not None else self.new_status()
        if self._limited:
            obj = self._receive_object(from_text("recv", source, tag), [source], source, tag, status)
        else:
            obj = self.observed.recv(buf, source, tag, status)
        self._note_received("recv", start, status)
        return obj

    def _receive_object(self, call: str, peers: list[int], source: int, tag: int, status: Any) -> Any:
        """Look for a message until it is there, and take the very one that was seen."""
        came: list[Any] = []

        def took() -> bool:
            message = self.observed.improbe(source, tag, status)
            if message is not None:
                came.append(message.recv(status))
            return bool(came)

        self._wait_until(took, call, peers)
        return came[0]

    def sendrecv(
        self,
        sendobj: Any,
        dest: int,
        sendtag: int = 0,
        recvbuf: Any = None,
        source: int = ANY_SOURCE,
        recvtag: int = ANY_TAG,
        status: Any = None,
    ) -> Any:
        """As the communicator's own."""
        start = self.clock()
        status = status if status is not None else self.new_status()
        self._enter_sent(dest, sendtag)
        if self._limited:
            call = f"sendrecv to {dest} tag {sendtag}, from {rank_text(source)} {tag_text(recvtag)}"
            send = self.observed.isend(sendobj, dest, sendtag)
            obj = self._receive_object(call, [source], source, recvtag, status)
            self._wait([send], call, [dest])
        else:
            obj = self.observed.sendrecv(sendobj, dest, sendtag, recvbuf, source, recvtag, status)
        self._note_sent("sendrecv", start, pickled_bytes(sendobj), dest, sendtag)
        self._note_received("sendrecv", start, status)
        return obj

    def isend(self, obj: Any, dest: int, tag: int = 0) -> ObservedObjectRequest:
        """As the communicator's own; the span ends with the request's wait."""
        return self._begin_send(ObservedObjectRequest, "isend", obj, pickled_bytes, dest, tag)

    def issend(self, obj: Any, dest: int, tag: int = 0) -> ObservedObjectRequest:
        """As the communicator's own; the span ends with the request's wait."""
        return self._begin_send(ObservedObjectRequest, "issend", obj, pickled_bytes, dest, tag)

    def irecv(self, buf: Any = None, source: int = ANY_SOURCE, tag: int = ANY_TAG) -> ObservedObjectRequest:
        """As the communicator's own; the span ends with the request's wait."""
        return self._begin_receive(ObservedObjectRequest, "irecv", buf, source, tag)

    def probe(self, source: int = ANY_SOURCE, tag: int = ANY_TAG, status: Any = None) -> bool:
        """As the communicator's own."""
        return self._probe("probe", "iprobe", source, tag, status)


def pickled_bytes(obj: Any) -> int:
    """Length of an object's pickle."""
    return len(pickle.dumps(obj))
