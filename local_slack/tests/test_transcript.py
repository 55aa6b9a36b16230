"""Threads as plain text."""

from local_slack.transcript import text_of


def test_code_in_the_rich_text_of_an_app_is_shown() -> None:
    code = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": '{"a": 1}'}]}
    name = {"type": "rich_text_section", "elements": [{"type": "text", "text": "demo"}]}
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Allow?*"}},
        {"type": "rich_text", "elements": [name, code]},
        {"type": "divider"},
    ]
    shown = text_of({"blocks": blocks, "text": "fallback"})
    assert shown == '*Allow?*\n\ndemo\n```\n{"a": 1}\n```'


def test_a_typed_message_is_its_text() -> None:
    typed = {"type": "rich_text", "elements": []}
    assert text_of({"blocks": [typed], "text": "hello <@U1>"}) == "hello <@U1>"
