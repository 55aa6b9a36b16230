import pytest

from bot.slack.text import parse_text


@pytest.mark.parametrize(
    ("wire", "plain"),
    [
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("&amp;lt; stays &lt;", "&lt; stays <"),
        ("see <https://example.com/a?b=1&amp;c=2>", "see https://example.com/a?b=1&c=2"),
        ("see <https://example.com|the site>", "see the site (https://example.com)"),
        ("<http://example.com|example.com>", "example.com"),
        (
            "review <http://README.md|README.md> and <http://main.py|main.py>",
            "review README.md and main.py",
        ),
        ("<tel:+4930123|+49 30 123> <tel:110>", "+49 30 123 110"),
        ("<tel:+4930123|(030) 123> <tel:110|the police>", "(030) 123 the police (tel:110)"),
        ("<http://readme.md|README.md> <http://x.io|HTTP://X.IO>", "README.md HTTP://X.IO"),
        ("<mailto:a@example.com|Ann>", "Ann (a@example.com)"),
        ("in <#C123|>", "in #C123"),
        ("<!subteam^S1> or <!subteam^S2>", "@S1 or @S2"),
        ("`<!here>/maps-api` or @here/maps-api", "`@here/maps-api` or @here/maps-api"),
        (
            "https://a.example/?a=1&amp;copy=2 &amp;amp; &nbsp;",
            "https://a.example/?a=1&copy=2 &amp; &nbsp;",
        ),
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
