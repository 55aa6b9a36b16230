"""Who may use the bot, and where. Rules only; `bot.gate` asks them before a run."""

from bot.models import Message
from bot.settings import Settings
from bot.slack.people import Person

GUEST = "it does not answer guests"
OUTSIDER = "it does not answer people of other workspaces"
PERSON = "you are not among those who may use it"
CHANNEL = "it may not be used in this channel"
TEAM = "it may not be used from your workspace"


def refusal(
    message: Message, person: Person | None, settings: Settings, *, guests: bool = False
) -> str:
    """Why the author of a message may not use the bot; "" where nothing speaks against it.

    Deny goes before allow. Who is named in `BOT_ALLOW_PEOPLE` is welcome as a guest or outsider,
    too; `guests` says that this channel is open to guests. `person` is None while Slack does not
    tell who it is: then the event's own word for the author's workspace decides.
    """
    if message.user_id in settings.bot_admins:
        return ""
    teams = {message.user_team_id, person.team_id if person else ""} - {""}
    teams = teams or {message.thread.team_id}
    channel_id = message.thread.channel_id
    if message.user_id in settings.bot_deny_people:
        return PERSON
    if channel_id in settings.bot_deny_channels:
        return CHANNEL
    if teams & settings.bot_deny_teams:
        return TEAM
    if settings.bot_allow_channels and channel_id not in settings.bot_allow_channels:
        return CHANNEL
    if settings.bot_allow_teams and not teams & settings.bot_allow_teams:
        return TEAM
    if settings.bot_allow_people:
        return "" if message.user_id in settings.bot_allow_people else PERSON
    return _of_strangers(message, person, settings, guests)


def _of_strangers(message: Message, person: Person | None, settings: Settings, guests: bool) -> str:
    if not settings.bot_allow_outsiders and is_outsider(message, person):
        return OUTSIDER
    if person is not None and person.is_guest and not (guests or settings.bot_allow_guests):
        return GUEST
    return ""


def is_outsider(message: Message, person: Person | None) -> bool:
    """Whether the author is of another workspace, or of another organisation in Enterprise Grid."""
    home = message.thread.team_id
    if person is None:
        return message.user_team_id not in ("", home) and not home.startswith("E")
    if person.is_outsider:
        return True
    return bool(person.team_id) and home not in (person.team_id, person.enterprise_id)
