"""The buttons under an answer: 👍 and 👎, "Answer again", and "Stop" while it is written."""

from bot.slack.blocks import Block, actions, button, feedback_buttons
from bot.texts import buttons as texts

FEEDBACK = "feedback"
ADD_NOTE = "feedback_note"
AGAIN = "answer_again"
STOP = "stop_answer"
"""The `action_id`s; the listeners are in `bot.slack.surfaces.feedback`."""


def answer_buttons(turn_id: str, run_id: str) -> list[Block]:
    """The buttons under the last part of an answer."""
    about = f"{turn_id}:{run_id}"
    good, bad = (texts.GOOD, f"positive:{about}"), (texts.BAD, f"negative:{about}")
    again = button(texts.ANSWER_AGAIN, AGAIN, about)
    return [feedback_buttons(FEEDBACK, good, bad), actions(again)]


def parse_about(value: str) -> tuple[str, str]:
    """(turn id, run id) of a button's value."""
    turn_id, _, run_id = value.partition(":")
    return turn_id, run_id


def stop_block() -> Block:
    """The Stop button of an answer that is posted and edited. (Streams have Slack's own.)"""
    return actions(button(texts.STOP, STOP, "stop"))
