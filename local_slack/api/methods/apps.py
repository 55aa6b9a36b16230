"""auth.test, api.test, team.info, apps.connections.open, and the methods of apps.manifest."""

import json
from typing import Any

from local_slack.api.methods.call import Call, Method
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json

LONGEST_NAME = 35
NAME_POINTER = "/display_information/name"


def auth_test(call: Call) -> Json:
    workspace = call.workspace
    owner = workspace.enterprise_id if workspace.org_install else workspace.team_id
    return {
        "url": workspace.url,
        "team": workspace.team_name,
        "user": workspace.bot.name,
        "team_id": owner,
        "user_id": workspace.bot.id,
        "bot_id": workspace.bot.bot_id,
        "is_enterprise_install": workspace.org_install,
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
    """The app's manifest; without one, its scopes and its subscriptions."""
    _demand_app(call)
    manifest = call.workspace.manifest or {
        "display_information": {"name": call.workspace.bot.name},
        "oauth_config": {"scopes": {"bot": sorted(call.scopes or ())}},
        "settings": {
            "event_subscriptions": {"bot_events": sorted(call.events or ())}
            | ({"request_url": call.events_url} if call.events_url else {}),
            "socket_mode_enabled": call.events_url is None,
        },
    }
    return {"manifest": manifest}


def apps_manifest_create(call: Call) -> Json:
    """The workspace has one app: its manifest becomes this one."""
    call.workspace.manifest = _read_manifest(call)
    workspace = call.workspace
    return {
        "app_id": workspace.app_id,
        "credentials": {
            "client_id": "1.1",
            "client_secret": "0" * 32,
            "verification_token": "local",
            "signing_secret": call.signing_secret,
        },
        "oauth_authorize_url": f"{workspace.url}oauth?client_id=1.1",
    }


def apps_manifest_update(call: Call) -> Json:
    _demand_app(call)
    manifest, before = _read_manifest(call), call.workspace.manifest
    call.workspace.manifest = manifest
    return {
        "app_id": call.workspace.app_id,
        "permissions_updated": _scopes(manifest) != _scopes(before),
    }


def _demand_app(call: Call) -> None:
    if call.args.require("app_id") != call.workspace.app_id:
        raise SlackError("invalid_app_id")


def _read_manifest(call: Call) -> Json:
    try:
        manifest = json.loads(call.args.require("manifest"))
    except ValueError:
        raise SlackError("invalid_manifest") from None
    name = (manifest.get("display_information") or {}).get("name", "")
    if not 1 <= len(name) <= LONGEST_NAME:
        problem = {"message": "The name is missing or too long", "pointer": NAME_POINTER}
        raise SlackError("invalid_manifest", errors=[problem])
    return dict(manifest)


def _scopes(manifest: Json) -> Any:
    return ((manifest.get("oauth_config") or {}).get("scopes") or {}).get("bot")


METHODS = {
    "api.test": Method(api_test, 4, token="any"),
    "auth.test": Method(auth_test, "special", token="any"),
    "team.info": Method(team_info, 3, ("team:read",)),
    "apps.connections.open": Method(apps_connections_open, 3, token="app"),
    "apps.manifest.create": Method(apps_manifest_create, 1, token="config"),
    "apps.manifest.update": Method(apps_manifest_update, 1, token="config"),
    "apps.manifest.export": Method(apps_manifest_export, 3, token="config"),
}
