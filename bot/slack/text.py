"""What a person wrote, from Slack's wire form to plain text for the model. Pure.

https://docs.slack.dev/messaging/formatting-message-text: `&`, `<` and `>` are escaped, and
references stand in angle brackets: `<@U1>`, `<#C1|general>`, `<!here>`, `<https://host|label>`.
"""

import html
import re

REFERENCE = re.compile(r"<([^<>\s|][^<>|]*)(?:\|([^<>]*))?>")


def parse_text(text: str) -> str:
    """Plain text: references spelled out, entities unescaped once."""
    return html.unescape(REFERENCE.sub(_spell_out, text)).strip()


def _spell_out(match: re.Match[str]) -> str:
    target, label = match[1], match[2]
    if target[0] == "@":
        return f"@{label or target[1:]}"
    if target[0] == "#":
        return f"#{label or target[1:]}"
    if target[0] == "!":
        return label or f"@{target[1:].split('^')[0]}"
    if label and label != target and not target.endswith(label):
        return f"{label} ({target})"
    return target.removeprefix("mailto:")
