"""A local Slack workspace: the Web API, signed events and Socket Mode for an unmodified app.

It imports nothing of the rest of this package and serves the tests of any bot:

    async with open_workspace() as slack:
        alice = slack.user("alice")
        ts = await alice.says("#general", "@bot hello")
        await slack.wait_for(lambda: slack.replies("#general", ts))
"""

from bot.playground.changes import Change
from bot.playground.clock import Clock
from bot.playground.delivery import Delivery
from bot.playground.errors import SlackError
from bot.playground.faults import Faults, MethodFault
from bot.playground.local_slack import LocalSlack
from bot.playground.model import Channel, Message, User
from bot.playground.people import Person
from bot.playground.server import open_workspace
from bot.playground.switches import Switch
from bot.playground.traces import Trace
from bot.playground.web_api import CallRecord, Tokens

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
