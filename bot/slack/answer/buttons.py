"""What hangs under an answer, as blocks: 👍 and 👎, "Answer again", and "Stop" while it is made."""

from typing import Any

Json = dict[str, Any]

FEEDBACK = "feedback"
ADD_NOTE = "feedback_note"
AGAIN = "answer_again"
STOP = "stop_answer"
"""The `action_id`s; the listeners are in `bot.slack.surfaces.feedback`."""


def under(turn_id: str, run_id: str) -> list[Json]:
    """The buttons under the last part of an answer."""
    about = f"{turn_id}:{run_id}"
    feedback = {
        "type": "feedback_buttons",
        "action_id": FEEDBACK,
        "positive_button": _half("Good answer", f"positive:{about}"),
        "negative_button": _half("Bad answer", f"negative:{about}"),
    }
    again = _button("Answer again", AGAIN, about)
    return [
        {"type": "context_actions", "elements": [feedback]},
        {"type": "actions", "elements": [again]},
    ]


def parse_about(value: str) -> tuple[str, str]:
    """(turn id, run id) of a button's value."""
    turn_id, _, run_id = value.partition(":")
    return turn_id, run_id


def stop_block() -> Json:
    """The Stop button of an answer that is posted and edited: there Slack has none of its own."""
    return {"type": "actions", "elements": [_button("Stop", STOP, "stop")]}


def _half(text: str, value: str) -> Json:
    words = {"type": "plain_text", "text": text}
    return {"text": words, "value": value, "accessibility_label": text}


def _button(text: str, action_id: str, value: str) -> Json:
    words = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": action_id, "text": words, "value": value}
