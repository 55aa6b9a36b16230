"""The names of what a message mentions."""

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Thread
from bot.slack.channels import Channels
from bot.slack.names import Names
from bot.slack.people import People


class Client(AsyncWebClient):
    """Slack for an organization: its token needs a workspace for `usergroups.list`."""

    async def api_call(self, api_method: str, **given: Any) -> Any:
        if api_method == "users.info":
            return {"user": {"id": given["params"]["user"], "team_id": "T7", "name": "ann"}}
        team_id = given["params"]["team_id"]
        return {"usergroups": [{"id": "S1", "handle": f"ops-of-{team_id}"}]}


async def test_the_groups_of_an_org_wide_installation_are_those_of_the_askers_workspace() -> None:
    client = Client(token="xoxb-1")
    people = People(client)
    names = Names(client, people, Channels(client, people))
    assert await names.of(["S1"], Thread("E1", "C1", "1.0"), "U1") == {"S1": "ops-of-T7"}
    assert await names.of(["S1"], Thread("T1", "C1", "1.0"), "U1") == {"S1": "ops-of-T1"}
