"""A growing answer whose messages are also ended when they get too old."""

from bot.slack.markdown.blocks import outline
from bot.slack.markdown.growing import Append, GrowingAnswer
from bot.slack.markdown.split import Splitter


class AgeingAnswer(GrowingAnswer):
    """Like GrowingAnswer; the message that is being written can be ended at any time."""

    def end_message(self) -> Append | None:
        """End the message at its current length; None if it is empty."""
        shown, start = self._shown, self.starts[-1]
        if self.diverged or len(shown) <= start:
            return None
        part = Splitter(outline(shown), self._limit).part(start, len(shown))
        append = self._append(part, ends=True)
        if append is not None:
            self.starts.append(part.end)
            self._sent = ""
        return append
