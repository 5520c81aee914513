"""What stands behind `observe`: a communicator that notes what its program does, checks it, and waits with a limit.

Read communicator.py first; messages.py and objects.py (both on posting.py) and collectives.py are its calls, request.py
its requests. With a time limit, waiting.py waits, and roll_call.py asks all ranks where they are. With debug=True,
agreement.py compares the collectives of all ranks, and ledger.py knows what was never received.
"""

from parallel.comm.observed.communicator import ObservedComm
from parallel.comm.observed.journal import Journal

__all__ = ["Journal", "ObservedComm"]
