"""The card of an approval: the exact call, and the buttons to decide. Pure.

All text of the model or a server is shown in `rich_text` or plain text, which Slack shows
literally: mentions, links and formats in it have no effect.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bot.slack.blocks import (
    Block,
    actions,
    button,
    context,
    input_block,
    modal,
    plain_context,
    plain_section,
    section,
    text_input,
)
from bot.slack.form_fields import UnsupportedForm
from bot.slack.forms import read_form, render_fields
from bot.slack.literal import visible
from bot.store import Approval, Decision
from bot.texts import approvals as texts
from bot.texts import forms as form_texts

ALLOW = "approval_allow"
ALLOW_IN_THREAD = "approval_allow_in_thread"
DENY = "approval_deny"
SHOW_ALL = "approval_show"
PAGE_BACK = "approval_page_back"
PAGE_NEXT = "approval_page_next"
ANSWER = "approval_answer"
DENIED = "approval_denied"
"""The `action_id`s and `callback_id`s; the listeners are in `bot.slack.surfaces.approvals`."""
DECLINE = "approval_decline"
DONE = "approval_done"
OPEN = "approval_open"
ANSWERED = "approval_answered"
ARGUMENTS_VIEW = "approval_arguments"
_ICONS = {"call": "🔐", "form": "📝", "url": "🔗"}

INLINE = 2_500
"""Characters of the arguments on a card; for longer ones, a button opens all of them."""
EXCERPT = 1_200
PAGE_LENGTH = 20_000
CHUNK = 2_500
REASON_LENGTH = 500
LONGEST_NAME = 128
LONGEST_URL = 2_000


@dataclass(frozen=True, slots=True)
class Press:
    """The data of a card's button: the approval, and the hash of the shown card."""

    turn_id: str
    id: str
    shown: str

    def encode(self) -> str:
        """The value of the button."""
        return json.dumps([self.turn_id, self.id, self.shown])

    @classmethod
    def parse(cls, value: object) -> "Press | None":
        """Read what `encode` wrote; None for anything else."""
        try:
            parts = json.loads(value if isinstance(value, str) else "")
        except (ValueError, RecursionError):
            return None
        is_ours = isinstance(parts, list) and [type(part) for part in parts] == [str] * 3
        return cls(*parts) if is_ours else None


def render_arguments(arguments: Mapping[str, Any]) -> str:
    """All arguments as JSON with every character visible."""
    return visible(json.dumps(arguments, ensure_ascii=False, indent=2))


def render_card(
    turn_id: str, approval: Approval, approvers: Sequence[str], decision: Decision | None = None
) -> list[Block]:
    """The blocks of the card; with a decision, the outcome in place of the buttons."""
    press = Press(turn_id, approval.id, approval.shown)
    notes = [plain_context(f"⚠️ {note}") for note in approval.note.splitlines()]
    if decision:
        end = [section(outcome(decision))]
        if decision.by and decision.reason:
            end.append(plain_context(visible(decision.reason)))
    else:
        end = [
            context(texts.asked_by(approval.requester, approvers, approval.expires)),
            _buttons(press, approval),
        ]
    heading = section(f"{_ICONS[approval.kind]} *{_question(approval)}*")
    return [heading, *_subject(approval), *notes, *end]


def offered(approval: Approval) -> frozenset[str]:
    """The `action_id`s of the buttons of the open card."""
    buttons = _buttons(Press("", approval.id, approval.shown), approval)
    return frozenset(each["action_id"] for each in buttons["elements"])


def fallback(approval: Approval, decision: Decision | None = None) -> str:
    """The card as one line, for notifications, without effective markup."""
    what = outcome(decision) if decision else f"{_ICONS[approval.kind]} {_question(approval)}"
    return f"{what} {_shown_name(approval)}"


def outcome(decision: Decision) -> str:
    """The outcome of an approval, in mrkdwn."""
    match decision.verdict:
        case "run" if decision.content:
            return texts.answered(decision.by)
        case "denied" if decision.content:
            return texts.declined(decision.by)
        case "run":
            return texts.allowed(decision.by, in_thread=decision.in_thread)
        case "denied":
            return texts.denied(decision.by)
        case "expired":
            return texts.expired()
    return texts.withdrawn(decision.reason)


def deny_modal(about: str) -> Block:
    """The form for the reason of a refusal."""
    field = text_input("reason", multiline=True, max_length=REASON_LENGTH)
    return modal(
        DENIED,
        texts.DENY_TITLE,
        [input_block("reason", texts.REASON, field, hint=texts.REASON_HINT)],
        submit=texts.DENY,
        close=texts.CANCEL,
        private_metadata=about,
    )


def arguments_modal(approval: Approval, about: str, page: int = 0) -> Block:
    """One page of all arguments. `about` is returned with the buttons for the other pages."""
    text = approval.arguments
    count = max(1, -(-len(text) // PAGE_LENGTH))
    page = min(max(page, 0), count - 1)
    part = text[page * PAGE_LENGTH : (page + 1) * PAGE_LENGTH]
    chunks = [part[at : at + CHUNK] for at in range(0, len(part), CHUNK)]
    blocks = [_name_block(approval), *(_preformatted(chunk) for chunk in chunks)]
    if count > 1:
        turns = [(texts.BACK, PAGE_BACK, page - 1), (texts.NEXT, PAGE_NEXT, page + 1)]
        buttons = [
            button(label, action_id, str(number))
            for label, action_id, number in turns
            if 0 <= number < count
        ]
        blocks.insert(1, plain_section(texts.page(page + 1, count)))
        blocks.append(actions(*buttons))
    return {
        "type": "modal",
        "callback_id": ARGUMENTS_VIEW,
        "private_metadata": about,
        "title": {"type": "plain_text", "text": texts.ARGUMENTS},
        "close": {"type": "plain_text", "text": texts.CLOSE},
        "blocks": blocks,
    }


def form_modal(approval: Approval, about: str) -> Block | None:
    """The form of a tool's question; None if a modal cannot show it."""
    try:
        fields = read_form(json.loads(approval.form))
    except UnsupportedForm:
        return None
    return modal(
        ANSWERED,
        form_texts.TITLE,
        [
            _name_block(approval),
            _preformatted(approval.arguments[:CHUNK]),
            plain_context(form_texts.NO_SECRETS),
            *render_fields(fields),
        ],
        submit=form_texts.SEND,
        close=form_texts.CANCEL,
        private_metadata=about,
    )


def _question(approval: Approval) -> str:
    questions = {"call": texts.QUESTION, "form": form_texts.QUESTION, "url": form_texts.VISIT}
    return questions[approval.kind]


def _subject(approval: Approval) -> list[Block]:
    """The server, the tool and the arguments."""
    text = approval.arguments
    if len(text) > INLINE:
        text = f"{text[:EXCERPT]}\n{texts.rest(len(text) - EXCERPT)}"
    return [_name_block(approval), _preformatted(text)]


def _buttons(press: Press, approval: Approval) -> Block:
    value = press.encode()
    if approval.kind != "call":
        return _question_buttons(value, approval)
    row = [button(texts.ALLOW, ALLOW, value)]
    if approval.grant:
        row.append(button(texts.ALLOW_IN_THREAD, ALLOW_IN_THREAD, value))
    row.append(button(texts.DENY, DENY, value, danger=True))
    if len(approval.arguments) > INLINE:
        row.append(button(texts.SHOW_ALL, SHOW_ALL, value))
    return actions(*row)


def _question_buttons(value: str, approval: Approval) -> Block:
    """Answer or Decline; for an address, a link that only a person opens."""
    row = [button(form_texts.ANSWER, ANSWER, value)]
    if approval.kind == "url":
        domain = shown_name(domain_of(approval.form))
        link = button(f"{form_texts.OPEN} {domain}", OPEN, value) | {"url": approval.form}
        row = [link, button(form_texts.DONE, DONE, value)]
    return actions(*row, button(form_texts.DECLINE, DECLINE, value, danger=True))


def domain_of(url: str) -> str:
    """The domain of an address in ASCII; "" if it is not http(s)."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        return ""
    is_web = parts.scheme in ("http", "https") and len(url) <= LONGEST_URL
    return host if is_web and url.isprintable() and " " not in url else ""


def _name_block(approval: Approval) -> Block:
    server = approval.server or texts.OWN_TOOL
    elements = [
        _text(f"{texts.SERVER} "),
        _text(shown_name(server), code=True),
        _text(f"   {texts.TOOL} "),
        _text(shown_name(approval.tool), code=True),
    ]
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": elements}],
    }


def _preformatted(text: str) -> Block:
    part = {"type": "rich_text_preformatted", "elements": [_text(text or " ")]}
    return {"type": "rich_text", "elements": [part]}


def _text(text: str, *, code: bool = False) -> Block:
    return {"type": "text", "text": text} | ({"style": {"code": True}} if code else {})


def shown_name(name: str) -> str:
    """A name on one line with every character visible."""
    plain = visible(name, keep="")
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 1]}…"


def _shown_name(approval: Approval) -> str:
    server, tool = shown_name(approval.server), shown_name(approval.tool)
    name = f"{server}: {tool}" if server else tool
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
