"""`/tools`: the tools of this channel, and their policies."""

from bot.calls import ToolServer
from bot.slack.scopes import missing_for_tools
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.texts import tools as texts


async def answer(ask: Ask) -> Answer:
    """One line per server, and one for our own tools."""
    if not (ask.tools.servers or ask.tools.own or ask.tools.built_in):
        return {"text": texts.NONE_CONFIGURED}
    settings = await ask.store.channels.find(ask.team_id, ask.channel_id)
    lines = [texts.own_tools(ask.tools.own)] if ask.tools.own else []
    if ask.scopes is not None:
        missing = missing_for_tools(ask.scopes, ask.tools.own)
        lines += [texts.missing_scope(scope.name) for scope in missing]
    lines += [texts.ai_server_tools(ask.tools.built_in)] if ask.tools.built_in else []
    for server in ask.tools.servers:
        lines.append(_line(server, ask.channel_id, is_off=server.name in settings.servers_off))
    return {"text": "\n".join([texts.HEADING, *lines, texts.bounds(ask.tools)])}


def _line(server: ToolServer, channel_id: str, *, is_off: bool) -> str:
    if server.channels and channel_id not in server.channels:
        return texts.server_off(server.name, texts.OFF_BY_FILE)
    if is_off:
        return texts.server_off(server.name, texts.OFF_BY_CHANNEL)
    return texts.server_on(server)


COMMAND = Command("/tools", texts.DESCRIPTION, answer)
