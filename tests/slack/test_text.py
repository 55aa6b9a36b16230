import pytest

from bot.slack.text import parse_text


@pytest.mark.parametrize(
    ("wire", "plain"),
    [
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("&amp;lt; stays &lt;", "&lt; stays <"),
        ("see <https://example.com/a?b=1&amp;c=2>", "see https://example.com/a?b=1&c=2"),
        ("see <https://example.com|the site>", "see the site (https://example.com)"),
        ("<http://example.com|example.com>", "http://example.com"),
        ("<mailto:a@example.com|a@example.com>", "a@example.com"),
        ("ask <@U123> or <@U456|bob>", "ask @U123 or @bob"),
        ("in <#C123|general> and <#C9>", "in #general and #C9"),
        ("<!here> and <!subteam^S1|@team>", "@here and @team"),
        ("<!date^1392734382^{date}|18 Feb>", "18 Feb"),
        ("1 < 2 is not sent like this, but survives", "1 < 2 is not sent like this, but survives"),
        ("```if a &lt; b:\n    pass```", "```if a < b:\n    pass```"),
        ("", ""),
    ],
)
def test_slack_s_wire_form_becomes_plain_text(wire: str, plain: str) -> None:
    assert parse_text(wire) == plain
