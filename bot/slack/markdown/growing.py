"""An answer in progress: the part of it that can be shown, and in which message."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bot.slack.markdown.blocks import Outline, outline
from bot.slack.markdown.clean import clean_so_far
from bot.slack.markdown.counting import BlockCount
from bot.slack.markdown.elements import GrowingText, flatten_so_far
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.reasoning import end_of_leading, has_reasoning, is_plain_answer
from bot.slack.markdown.sanitize import sanitize
from bot.slack.markdown.split import LIMIT, MAX_BLOCKS, Part, Splitter
from bot.slack.markdown.stable import stable_length

_FULL = 0.85
"""The share of the limit after which a message ends with the next block: the rest is for blocks
that would otherwise be cut."""
_LONG, _SHARE = 2_000, 8
"""An unfinished block that is longer than this is read again after it has grown by an eighth."""
_BLOCK_START = re.compile(
    r"^[ \t]*(?:[#>`~|_=]|[-*+\d][^\r\n])|(?:\r\n?|\n)[ \t]*[\r\n]", re.MULTILINE
)
"""Offsets at which a block may begin: at least all real ones."""


@dataclass(frozen=True, slots=True)
class Append:
    """Text to append to the current message; `ends` if that makes it full."""

    text: str
    ends: bool = False


class Visible:
    """The showable part of an answer in progress: cleaned, complete and sanitized.

    Each text is the whole answer so far. Only text from the last top-level block on is read again;
    if that is long, only after it has grown by a share of its length, so that all readings together
    are linear, or if the same text comes again: then it does not grow for now.
    """

    def __init__(self) -> None:
        self._text = ""  # the text that was read last
        self._length = 0  # of the text that came last
        self._result = ""  # what `of` returned for it
        self._read = ""  # the beginning of the answer that is not read again
        self._shown = ""  # what is shown of it
        self._reasoned = 0  # the end of reasoning at the beginning
        self._opener = ""  # the line that reopens the current code block

    def of(self, text: str) -> str:
        """The part of `clean(text)` that later text cannot change, sanitized for Slack."""
        if not self._has_little_new_text(text):
            self._text, self._result = text, self._of(text)
        self._length = len(text)
        return self._result

    def _has_little_new_text(self, text: str) -> bool:
        """Whether too little was added to a long unfinished block to read it again."""
        unread = len(self._text) - self._reasoned - len(self._read)
        new = len(text) - len(self._text)
        if new and len(text) == self._length:
            return False
        return unread > _LONG and 0 <= new < unread // _SHARE and text.startswith(self._text)

    def _of(self, text: str) -> str:
        text = self._without_leading_reasoning(text)
        if not text.startswith(self._read) or has_reasoning(text[len(self._read) :]):
            self._read = self._shown = self._opener = ""
        rest = self._opener + text[len(self._read) :]
        cleaned = clean_so_far(rest)
        flat = flatten_so_far(cleaned)
        found = outline(flat.text)
        stable = stable_length(found)
        if has_reasoning(rest):
            return self._shown + self._safe(found.text[:stable])
        return self._advance(rest, cleaned, flat, found, stable)

    def _without_leading_reasoning(self, text: str) -> str:
        """The text behind complete reasoning at its beginning, if that is the only one.

        Reasoning requires all text to be read again.
        """
        end = self._reasoned = self._reasoned or end_of_leading(text)
        answer = text[end:].lstrip() if end else text
        return answer if is_plain_answer(answer[len(self._read) :]) else text

    def _advance(
        self, rest: str, cleaned: str, flat: GrowingText, found: Outline, stable: int
    ) -> str:
        """Advance to where the text can be resumed; returns the shown text up to `stable`."""
        reached, opener = found.restart(min(stable, flat.settled))
        while (begin := flat.around(reached)) is not None and begin < reached:
            reached, opener = found.restart(begin)
        source = flat.source(reached)
        is_further = reached > len(self._opener) and sanitize(opener) == opener
        is_same = is_further and _reads_on(cleaned[source:], opener, flat.text[reached:])
        end = _end_as_written(rest, cleaned, source) if is_same and source >= 0 else 0
        if end:
            self._shown += self._safe(found.text[:reached])
            self._read += rest[len(self._opener) : end]
            self._opener = opener
            return self._shown + self._safe(opener + found.text[reached:stable])
        return self._shown + self._safe(found.text[:stable])

    def _safe(self, text: str) -> str:
        return sanitize(text)[len(self._opener) :]


def _reads_on(source: str, opener: str, text: str) -> bool:
    """Whether the rest of a text reads the same on its own, behind `opener`."""
    return flatten_so_far(opener + source).text == opener + text


def _end_as_written(written: str, cleaned: str, reached: int) -> int:
    """Where the first `reached` characters of a cleaned text end as written; 0 if unknown.

    Cleaning removes no line breaks, so lines have the same numbers in both texts.
    """
    if written.startswith(cleaned):
        return reached
    lines, head, tail = cleaned.count("\n", 0, reached), cleaned[:reached], cleaned[reached:]
    end = 0
    for _ in range(lines):
        end = written.find("\n", end) + 1
    fits = clean_so_far(written[:end]) == head and clean_so_far(written[end:]) == tail
    return end if fits else 0


class GrowingAnswer:
    """Lays a growing text out over append-only messages.

    Pass the showable part, `sanitize(text[:stable_prefix(text)])`, to `advance`, and the complete
    text to `finish`. Each returns what to append; after an Append that ends its message, the next
    one begins a new message. `starts` are the offsets of the messages: if they are stored,
    `parts(text, start=...)` can finish the work of a process that died.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.starts = [0]
        self.diverged = False
        """Whether the text no longer begins with the shown text (a note was inserted). Then nothing
        more is appended: replace the messages by the `parts` of the complete text."""
        self._limit = limit
        self._shown = ""  # all the text that was laid out
        self._sent = ""  # to the message that is being written
        self._base = 0  # the text before is not read again
        self._opener = ""  # the lines that reopen the table or code block in which the rest begins
        self._flows = False  # the message goes on with the text as it is
        self._blocks = BlockCount()

    def advance(self, text: str) -> list[Append]:
        """The appends for the text so far."""
        return [append for append in self._lay_out(text, final=False) if append.text or append.ends]

    def finish(self, text: str) -> list[Append]:
        """The remaining appends. The last one ends its message, even if it adds nothing."""
        return list(self._lay_out(text, final=True))

    def _lay_out(self, text: str, final: bool) -> Iterator[Append]:
        if not text.startswith(self._shown):
            self.diverged = self.diverged or final or len(text) >= len(self._shown)
        if self.diverged or len(text) < len(self._shown):
            return
        if not final and self._flows and self._sent and self._is_far_from_full(text):
            yield self._flow(text)
            return
        if not final and self._has_little_new_text(text):
            return
        splitter, before = self._splitter(text)
        while (start := self.starts[-1]) < len(text):
            full = 2.0 if final else _FULL
            part = splitter.part(start - before, len(self._shown) - before, full)
            part = replace(part, start=start)
            ends = final or part.end < len(text)
            self._flows = not ends and not part.is_shifted
            if (append := self._append(part, ends)) is None:
                self.diverged = True
                return
            self._shown = text[: part.end]
            yield append
            if not ends:
                return
            self.starts.append(part.end)
            self._sent = ""

    def _has_little_new_text(self, text: str) -> bool:
        """Whether too little was added to a block of several messages to read it again."""
        unread, new = len(text) - self._base, len(text) - len(self._shown)
        return unread > 2 * LIMIT and new < unread // (2 * _SHARE)

    def _splitter(self, text: str) -> tuple[Splitter, int]:
        """A splitter of the text, and the offset that its text has in the whole one.

        What is before the block in which the message begins is not read again.
        """
        found = outline(self._opener + text[self._base :])
        before = self._base - len(self._opener)
        offset, opener = found.restart(max(0, self.starts[-1] - before - 1))
        if offset > len(self._opener):
            self._base, self._opener = before + offset, opener
        return Splitter(found, self._limit), before

    def _is_far_from_full(self, text: str) -> bool:
        """Whether a message cannot end yet, by its size and its blocks."""
        added = text[len(self._shown) :]
        if size(self._sent) + size(added) >= _FULL * self._limit:
            return False
        few = len(_BLOCK_START.findall(self._sent + added)) < MAX_BLOCKS
        return few or self._blocks.of(text, self.starts[-1]) < MAX_BLOCKS

    def _flow(self, text: str) -> Append:
        added = text[len(self._shown) :]
        self._shown = text
        self._sent += added
        return Append(added)

    def _append(self, part: Part, ends: bool) -> Append | None:
        message = part.text if ends else part.open_text
        if size(message) > self._limit:
            message = message.rstrip()  # blank lines at the edge are neither counted nor shown
        if not message.startswith(self._sent.rstrip()):
            return None
        # Indentation of a line that ended up in the next message may have been sent.
        sent = self._sent if message.startswith(self._sent) else self._sent.rstrip()
        added = message[len(sent) :]
        self._sent += added
        return Append(added, ends)
