"""views.*."""

from local_slack.api.methods.call import Call, Method
from local_slack.workspace import views
from local_slack.workspace.errors import SlackError, invalid_arguments
from local_slack.workspace.model import Json, View
from local_slack.workspace.shapes import view_json
from local_slack.workspace.view_rules import check_view


def _payload(call: Call, kind: str) -> Json:
    view = check_view(call.args.json("view"))
    if view["type"] != kind:
        raise invalid_arguments(f"a `{kind}` view is expected")
    return view


def open_(call: Call) -> Json:
    payload = _payload(call, "modal")
    trigger = call.interactions.exchange_trigger(call.args.get("trigger_id"))
    view = views.open_view(call.workspace, trigger.user_id, payload)
    return {"view": view_json(call.workspace, view)}


def push(call: Call) -> Json:
    payload = _payload(call, "modal")
    trigger = call.interactions.exchange_trigger(call.args.get("trigger_id"))
    open_now = views.stack(call.workspace, trigger.user_id)
    if not open_now:
        raise SlackError("not_found")
    view = views.push_view(call.workspace, open_now[-1], payload)
    return {"view": view_json(call.workspace, view)}


def update(call: Call) -> Json:
    payload = check_view(call.args.json("view"))
    view = _find(call)
    views.update_view(call.workspace, view, payload, call.args.get("hash"))
    return {"view": view_json(call.workspace, view)}


def _find(call: Call) -> View:
    view_id, external_id = call.args.get("view_id"), call.args.get("external_id")
    for view in call.workspace.views.values():
        same = view.id == view_id if view_id else view.payload.get("external_id") == external_id
        if same and view.open and (view_id or external_id):
            return view
    raise SlackError("not_found")


def publish(call: Call) -> Json:
    user_id = call.args.require("user_id")
    payload = _payload(call, "home")
    if user_id not in call.workspace.users:
        raise invalid_arguments("invalid `user_id`")
    view = views.publish_home(call.workspace, user_id, payload, call.args.get("hash"))
    return {"view": view_json(call.workspace, view)}


METHODS = {
    "views.open": Method(open_, 4),
    "views.push": Method(push, 4),
    "views.update": Method(update, 4),
    "views.publish": Method(publish, 4),
}
