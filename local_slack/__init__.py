"""A local Slack workspace: the Web API, signed events and Socket Mode for an unmodified app.

For the tests of any Slack app:

    async with open_workspace() as slack:
        alice = slack.user("alice")
        ts = await alice.says("#general", "@bot hello")
        await slack.wait_for(lambda: slack.replies("#general", ts))
"""

from local_slack.api.web_api import CallRecord, Tokens
from local_slack.delivery.delivery import Delivery
from local_slack.delivery.faults import Faults, MethodFault
from local_slack.local_slack import LocalSlack
from local_slack.people import Person
from local_slack.server import open_workspace
from local_slack.switches import Switch
from local_slack.traces import Trace
from local_slack.workspace.changes import Change
from local_slack.workspace.clock import Clock
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Message, User

__all__ = [
    "CallRecord",
    "Change",
    "Channel",
    "Clock",
    "Delivery",
    "Faults",
    "LocalSlack",
    "Message",
    "MethodFault",
    "Person",
    "SlackError",
    "Switch",
    "Tokens",
    "Trace",
    "User",
    "open_workspace",
]
