"""A workspace that is filled from a file."""

from pathlib import Path

import pytest

from local_slack import open_workspace
from local_slack.seed import SeedError, apply_seed, read_seed

EXAMPLE = Path(__file__).parents[2] / "examples" / "workspace.yml"


async def test_people_channels_and_history_are_added_once_without_events() -> None:
    async with open_workspace() as slack:
        for _ in range(2):
            apply_seed(slack, read_seed(EXAMPLE))
        roles = {
            user.name: (user.is_admin, user.is_guest) for user in slack.workspace.users.values()
        }
        assert roles["alice"] == (True, False)
        assert roles["gina"] == (False, True)
        assert slack.user("olaf").user.team_id == "T0ELSEWHERE"
        support = slack.channel("#support")
        assert support.type == "group"
        assert slack.bot.id in support.members
        assert slack.user("olaf").id not in support.members
        [root, *replies] = slack.messages("#support")
        assert [reply.thread_ts for reply in replies] == [root.ts, root.ts]
        assert len(slack.messages("#general")) == 1
        assert slack.deliveries == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("peple: []", "nothing else"),
        ("- a", "nothing else"),
        ("people: alice", "is a list"),
        ("people: [alice]", "people 1"),
        ("people: [{name: x, role: king}]", "one of member"),
        ("people: [{nam: x}]", "people 1"),
        ("messages: [{channel: nowhere, from: alice, text: x}]", "channel_not_found"),
        ("messages: [{channel: general, from: nobody, text: x}]", "user_not_found"),
        ("messages: [{channel: general, from: alice, text: x, replies: [{from: bob}]}]", "text"),
        ("people: [", "cannot be read"),
        ("people: [{name: two words}]", "up to 21"),
        ("people: [{name: bot}]", "up to 21"),
        ("people: [{role: admin}]", "name is missing"),
        ("channels: [{name: Big News}]", "no spaces"),
        ("channels: [{name: a, members: bob}]", "members is a list"),
        ("channels: [{name: a, members: [5, [b]]}]", "user_not_found"),
        ("people: [{name: x, role: [admin]}]", "role is a single value"),
        ("messages: [{channel: general, from: 5, text: x}]", "user_not_found"),
        ("channels: [{name: a, topic: x}]", "there is no topic, only name, members, private"),
        ("messages: [{channel: general, from: bob, text: x, replies: [x]}]", "1, replies 1: write"),
    ],
)
async def test_what_is_wrong_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "seed.yml"
    file.write_text(text)
    async with open_workspace() as slack:
        with pytest.raises(SeedError, match=problem):
            apply_seed(slack, read_seed(file))
