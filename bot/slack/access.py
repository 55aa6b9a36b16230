"""Who may use the bot, and where. Rules only; `bot.slack.rights` applies them."""

from bot.models import Message
from bot.settings import Settings
from bot.slack.people import Person
from bot.store.channel_settings import ChannelSettings
from bot.texts.access import CHANNEL, DEACTIVATED, GUEST, OUTSIDER, PERSON, TEAM


def refusal(
    message: Message, person: Person | None, settings: Settings, channel: ChannelSettings
) -> str:
    """The reason why the author of a message may not use the bot, or "".

    Deny rules override allow rules. People named in `BOT_ALLOW_PEOPLE` or by the channel's admins
    may use it even as guests or outsiders. `person` is None while Slack cannot be asked: then the
    workspace named in the event decides.
    """
    if person is not None and person.is_deactivated:
        return DEACTIVATED
    if message.user_id in settings.bot_admins:
        return ""
    teams = {message.user_team_id, *_memberships(person)} - {""}
    teams = teams or {message.thread.team_id}
    return (
        _denial(message, teams, settings)
        or _omission(message, teams, settings, channel)
        or _outsider_refusal(message, person, settings, channel)
    )


def needs_profile(message: Message, settings: Settings, channel: ChannelSettings) -> bool:
    """Whether `refusal` depends on what Slack says about the author."""
    if message.user_id in settings.bot_admins:
        return False
    if settings.bot_allow_teams or settings.bot_deny_teams:
        return True
    if _is_named(message, settings, channel) or channel.users == "guests":
        return False
    return not (settings.bot_allow_guests and settings.bot_allow_outsiders)


def _denial(message: Message, teams: set[str], settings: Settings) -> str:
    if message.user_id in settings.bot_deny_people:
        return PERSON
    if _channel(message) in settings.bot_deny_channels:
        return CHANNEL
    return TEAM if teams & settings.bot_deny_teams else ""


def _omission(
    message: Message, teams: set[str], settings: Settings, channel: ChannelSettings
) -> str:
    channels, people = settings.bot_allow_channels, settings.bot_allow_people
    if channels and _channel(message) not in (None, *channels):
        return CHANNEL
    if settings.bot_allow_teams and not teams & settings.bot_allow_teams:
        return TEAM
    if people and message.user_id not in people:
        return PERSON
    if channel.users == "people" and message.user_id not in channel.people:
        return PERSON
    return ""


def _channel(message: Message) -> str | None:
    """None for jobs and commands, which carry the person's id instead of a channel's."""
    channel_id = message.thread.channel_id
    return None if channel_id.startswith(("U", "W")) else channel_id


def _outsider_refusal(
    message: Message, person: Person | None, settings: Settings, channel: ChannelSettings
) -> str:
    if _is_named(message, settings, channel) or channel.users == "guests":
        return ""
    if not settings.bot_allow_outsiders and is_outsider(message, person):
        return OUTSIDER
    if person is not None and person.is_guest and not settings.bot_allow_guests:
        return GUEST
    return ""


def _is_named(message: Message, settings: Settings, channel: ChannelSettings) -> bool:
    return message.user_id in settings.bot_allow_people or message.user_id in channel.people


def _memberships(person: Person | None) -> set[str]:
    return {person.team_id, *person.teams} if person else set()


def is_outsider(message: Message, person: Person | None) -> bool:
    """Whether the author belongs to another workspace, or in Enterprise Grid to another
    organization."""
    home = message.thread.team_id
    if person is None:
        return message.user_team_id not in ("", home) and not home.startswith("E")
    return not person.belongs_to(home)
