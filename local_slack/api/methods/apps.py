"""auth.test, api.test, team.info, apps.connections.open, apps.manifest.export."""

from local_slack.api.methods.call import Call, Method
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json


def auth_test(call: Call) -> Json:
    workspace = call.workspace
    return {
        "url": workspace.url,
        "team": workspace.team_name,
        "user": workspace.bot.name,
        "team_id": workspace.team_id,
        "user_id": workspace.bot.id,
        "bot_id": workspace.bot.bot_id,
        "is_enterprise_install": False,
        **({"enterprise_id": call.workspace.enterprise_id} if call.workspace.enterprise_id else {}),
    }


def api_test(call: Call) -> Json:
    error = call.args.get("error")
    if error:
        raise SlackError(error, args=call.args.values)
    return {"args": call.args.values}


def team_info(call: Call) -> Json:
    workspace = call.workspace
    team = {
        "id": workspace.team_id,
        "name": workspace.team_name,
        "domain": workspace.domain,
        "url": workspace.url,
        "email_domain": "",
        "icon": {"image_default": True},
    }
    return {"team": team}


def apps_connections_open(call: Call) -> Json:
    host = call.base_url.removeprefix("http://")
    return {"url": f"ws://{host}/link/?ticket={call.issue_ticket()}&app_id={call.workspace.app_id}"}


def apps_manifest_export(call: Call) -> Json:
    """The known part of the app's manifest: its scopes and its subscriptions."""
    if call.args.require("app_id") != call.workspace.app_id:
        raise SlackError("invalid_app_id")
    manifest = {
        "display_information": {"name": call.workspace.bot.name},
        "oauth_config": {"scopes": {"bot": sorted(call.scopes or ())}},
        "settings": {
            "event_subscriptions": {"bot_events": sorted(call.events or ())}
            | ({"request_url": call.events_url} if call.events_url else {}),
            "socket_mode_enabled": call.events_url is None,
        },
    }
    return {"manifest": manifest}


METHODS = {
    "api.test": Method(api_test, 4, token="any"),
    "auth.test": Method(auth_test, "special", token="any"),
    "team.info": Method(team_info, 3, ("team:read",)),
    "apps.connections.open": Method(apps_connections_open, 3, token="app"),
    "apps.manifest.export": Method(apps_manifest_export, 3, token="config"),
}
