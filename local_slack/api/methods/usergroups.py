"""usergroups.list."""

from local_slack.api.methods.call import Call, Method
from local_slack.workspace.model import Json


def usergroups_list(call: Call) -> Json:
    workspace = call.workspace
    return {
        "usergroups": [
            {
                "id": group_id,
                "team_id": workspace.team_id,
                "is_usergroup": True,
                "name": handle,
                "handle": handle,
                "description": "",
                "date_delete": 0,
            }
            for group_id, handle in workspace.user_groups.items()
        ]
    }


METHODS = {"usergroups.list": Method(usergroups_list, 2, ("usergroups:read",))}
