"""Descriptions of a turn's steps. Names of steps: `bot.store.steps`."""

import re

PHRASES = (
    (r"admission", "decided which messages to answer"),
    (r"heard", "read the thread"),
    (r"background", "recorded what else was said in the thread"),
    (r"accounted(:.*)?", "counted the usage"),
    (r"conversation:\d+", "created the conversation"),
    (r"append:\d+:.*", "stored the question at the AI server"),
    (r"run:\d+(:\d+)?", "started the model"),
    (r"asked:\d+:\d+", "the model asked for tools"),
    (r"hosted:\d+:\d+", "the AI server called tools"),
    (r"call:.*", "called a tool"),
    (r"approval:.*", "asked for an approval"),
    (r"decision:.*", "an approval was decided"),
    (r"card(_closed)?:.*", "showed the approval"),
    (r"answer", "received the answer"),
    (r"draft:\d+", "began to show the answer"),
    (r"part:\d+", "posted a part of the answer"),
    (r"limit:\d+", "split the answer into smaller messages"),
    (r"stopped:.*", "ended the stream of an earlier worker"),
    (r"reordered", "put messages in order that arrived late"),
    (r"rebuild", "started over in a new conversation"),
    (r"overfull|summary.*", "summarized a long conversation"),
    (r"archived", "found the conversation archived"),
    (r"forgotten", "reset the conversation"),
    (r"forgotten:.*|unconfirmed:.*", "deleted a person's conversations"),
    (r"retract:.*", "removed a deleted message"),
    (r"errand:.*", "ran a job"),
    (r"unread|kept_files", "read the attached files"),
    (r"file:.*|code:.*|share:.*|unattached", "attached files"),
    (r"failed_runs", "recorded a failed run"),
    (r"given_up", "gave up"),
    (r"busy_notice", "said that the thread is busy"),
    (r"waits|notice", "waited for a service that is down"),
    (r"cut", "stopped posting"),
    (r"steps", "showed the model's steps"),
    (r"withdrawn", "withdrew an approval"),
)


def describe_step(name: str) -> str:
    """A phrase in the past tense, or the name in readable form if there is none."""
    found = next((words for pattern, words in PHRASES if re.fullmatch(pattern, name)), "")
    return found or name.partition(":")[0].replace("_", " ")
