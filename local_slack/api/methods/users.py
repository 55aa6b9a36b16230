"""users.info, users.list, bots.info."""

from local_slack.api.methods.call import Call, Method
from local_slack.api.methods.paging import page
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json
from local_slack.workspace.shapes import user_json


def users_info(call: Call) -> Json:
    user = call.workspace.users.get(call.args.require("user"))
    if user is None:
        raise SlackError("user_not_found")
    shape = user_json(call.workspace, user)
    return {"user": shape | {"locale": "en-US"} if call.args.flag("include_locale") else shape}


def users_list(call: Call) -> Json:
    users = [user_json(call.workspace, user) for user in call.workspace.users.values()]
    chosen, metadata = page(users, call.args, default=len(users) or 1)
    return {"members": chosen, "cache_ts": int(call.workspace.clock.now())} | metadata


def bots_info(call: Call) -> Json:
    bot_id = call.args.require("bot")
    for user in call.workspace.users.values():
        if user.bot_id == bot_id:
            return {
                "bot": {
                    "id": user.bot_id,
                    "deleted": user.deleted,
                    "name": user.real_name or user.name,
                    "updated": call.workspace.created,
                    "app_id": user.app_id,
                    "user_id": user.id,
                    "icons": {},
                }
            }
    raise SlackError("bot_not_found")


METHODS = {
    "users.info": Method(users_info, 4, ("users:read",)),
    "users.list": Method(users_list, 2, ("users:read",)),
    "bots.info": Method(bots_info, 3, ("users:read",)),
}
