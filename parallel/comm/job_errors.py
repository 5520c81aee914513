"""What a job writes to stderr, made short: MPI's boilerplate out, each rank's traceback once.

mpirun frames its own messages with rules of 74 dashes. The ones it prints whenever a rank fails say in ten
lines what one line can, and bury the traceback; they are replaced here. A message that is not known is passed
on as it came: it may be the one that helps.
"""

from __future__ import annotations

import re

RULE = "-" * 74
STATUS = "Rank {0} ended the job with status {1}.\n"
SIGNAL = "Rank {0} was ended by signal {1}.\n"
# A framed message that holds the pattern is replaced by the sentence ("": dropped, it says nothing new).
KNOWN_MESSAGES = (
    (r"has exited due to process rank \d+", ""),
    (r"MPI_ABORT was invoked on rank (\d+)[\s\S]*?Errorcode: (\d+)", STATUS),
    (r"exited with non-zero status[\s\S]*?Process name: \[.*,(\d+)\]\s*Exit code:\s*(\d+)", STATUS),
    (r"noticed that process rank (\d+)[\s\S]*?on\s+signal (\d+ \([^)]*\))", SIGNAL),
)
# What opens a message of mpirun or a rank's traceback. Not always at the start of a line: a rank may have left its
# last one open, as progress bars do.
OPENING = re.compile(r"((?<!-)-{74}|Rank (?P<rank>\S+) of \S+ failed:)\n\Z")
# A command's own last word, such as `minigrad train: error: ...`: that its rank ended with a status says nothing new.
LAST_WORD = re.compile(r"[\w.-]+( \w+)?: error: ")
LONGEST_MESSAGE = 100  # lines; whatever is longer is not a framed message but a program that prints rules


class JobErrors:
    """A filter between a job's stderr and ours: `feed` it text as it arrives, print what it returns.

    Whatever is not MPI's passes at once, even half a line of a progress bar. A framed message is held until
    it is complete, and so is a rank's traceback, because the same one from another rank is only counted.
    """

    def __init__(self) -> None:
        self._line = ""  # the line under way
        self._passed = 0  # how much of it has been passed on
        self._held: list[str] = []  # the message or traceback under way, with its first line
        self._tracebacks: dict[str, list[str]] = {}  # its text -> the ranks that raised it
        self._ends: dict[str, tuple[str, str]] = {}  # rank -> how mpirun says it ended: sentence, status or signal
        self._explained = False  # whether a command has said its last word

    def feed(self, text: str) -> str:
        """Take what has arrived, and return what may be shown now."""
        shown = []
        for piece in text.replace("\0", "").splitlines(keepends=True):
            self._line += piece
            if piece.endswith("\n"):
                shown.append(self._end_line())
            elif not self._held and not _may_start_message(self._line):
                shown.append(self._line[self._passed :])
                self._passed = len(self._line)
        return "".join(shown)

    def finish(self) -> str:
        """What is left at the end: a message cut short, the ranks that ended without a traceback, and those that
        raised the same as another.

        How a rank ended waits until here, because mpirun's message may overtake the rank's traceback.
        """
        rest = "".join(self._held) + self._line[self._passed :]
        self._held, self._line, self._passed = [], "", 0
        told = {rank for ranks in self._tracebacks.values() for rank in ranks}
        for rank, (sentence, what) in self._ends.items():
            if rank not in told and not (self._explained and sentence == STATUS):
                rest += sentence.format(rank, what)
        for ranks in self._tracebacks.values():
            if len(ranks) > 1:
                rest += f"The same was raised by rank {', '.join(sorted(ranks[1:], key=_number))}.\n"
        return rest

    def _end_line(self) -> str:
        line, passed = self._line, self._passed
        self._line, self._passed = "", 0
        if self._held:
            return self._hold(line)
        opening = OPENING.search(line)
        if opening is None:
            self._explained = self._explained or LAST_WORD.match(line) is not None
            return line[passed:]
        self._held = [opening.group()]
        return line[passed : opening.start()] + "\n" if opening.start() else ""

    def _hold(self, line: str) -> str:
        self._held.append(line)
        opening = OPENING.fullmatch(self._held[0])
        rank = opening and opening["rank"]
        if rank:
            return self._end_traceback(rank) if line == f"Rank {rank} ended the job.\n" else ""
        if line == RULE + "\n":
            return self._end_message()
        return self._release() if len(self._held) > LONGEST_MESSAGE else ""

    def _release(self) -> str:
        held, self._held = "".join(self._held), []
        return held

    def _end_traceback(self, rank: str) -> str:
        text = self._release()
        ranks = self._tracebacks.setdefault(text.partition("\n")[2].rpartition("Rank ")[0], [])
        ranks.append(rank)
        return text if len(ranks) == 1 else ""

    def _end_message(self) -> str:
        message = self._release()
        for pattern, sentence in KNOWN_MESSAGES:
            if found := re.search(pattern, message):
                if sentence:
                    self._ends.setdefault(found.group(1), (sentence, found.group(2)))
                return ""
        return message


def _may_start_message(line: str) -> bool:
    """Whether the line under way may still turn out to be a rule or the head of a traceback."""
    return RULE.startswith(line) or line.endswith(RULE) or "Rank ".startswith(line[:5])


def _number(rank: str) -> int:
    return int(rank) if rank.isdigit() else -1
