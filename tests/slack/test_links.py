"""Links to messages and canvases."""

import pytest

from bot.slack.links import MessageLink, parse_file_link, parse_message_link

ROOT = "https://acme.slack.com/archives/C012AB/p1700000000123456"
TS = "1700000000.123456"


@pytest.mark.parametrize(
    ("link", "found"),
    [
        (ROOT, MessageLink("C012AB", TS, TS)),
        (f" {ROOT}/ ", MessageLink("C012AB", TS, TS)),
        (
            f"{ROOT}?thread_ts=1690000000.000001&cid=C012AB",
            MessageLink("C012AB", TS, "1690000000.000001"),
        ),
        (f"{ROOT}?thread_ts=../../x", MessageLink("C012AB", TS, TS)),
        (
            "https://acme.enterprise.slack.com/archives/G1/p1700000000123456",
            MessageLink("G1", TS, TS),
        ),
        ("http://acme.slack.com/archives/C1/p1700000000123456", None),
        ("https://acme.slack.com.evil.example/archives/C1/p1700000000123456", None),
        ("https://evil.example/archives/C1/p1700000000123456", None),
        ("https://acme.slack.com/archives/U1/p1700000000123456", None),
        ("https://[", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_a_link_to_a_message(link: str, found: MessageLink | None) -> None:
    assert parse_message_link(link) == found


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("https://acme.slack.com/docs/T012/F012AB", "F012AB"),
        ("https://acme.slack.com/canvas/F012AB", "F012AB"),
        ("https://acme.slack.com/files/U1/F012AB/notes", "F012AB"),
        ("https://acme.slack.com/docs/T012", ""),
        ("https://evil.example/docs/T012/F012AB", ""),
        (ROOT, ""),
    ],
)
def test_a_link_to_a_canvas(link: str, found: str) -> None:
    assert parse_file_link(link) == found
