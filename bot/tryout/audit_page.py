"""The audit trail of tool calls as a page of `bot try`, as `bot audit` prints it."""

from datetime import datetime

from bot.slack.literal import visible
from bot.store import Store
from bot.store.audit import StoredLine
from local_slack.app_pages import AppPage, Table
from local_slack.local_slack import LocalSlack

MOST = 200
COLUMNS = (
    *("When", "Who", "Tool", "Policy", "Decision", "By", "Outcome", "ms"),
    "Arguments (SHA-256)",
)
INTACT = "The hash chain is intact: no line was changed or removed."
BROKEN = "Lines were changed or removed: see `bot audit --verify`."
ABOUT = "Every decision about a tool call with its outcome, newest first, without texts or results."


def audit_page(slack: LocalSlack, store: Store) -> AppPage:
    """The page, with the names of people."""

    def name(user_id: str) -> str:
        user = slack.workspace.users.get(user_id)
        return user.name if user else user_id

    async def read() -> Table:
        lines = [line async for line in store.audit.read()]
        is_whole = all(line.fits for line in lines)
        newest = [(_cells(each), each) for each in reversed(lines[-MOST:])]
        rows = [
            (when, name(each.line.user_id), *rest, name(each.line.decided_by), *_outcome(each))
            for (when, *rest), each in newest
        ]
        return Table(f"{ABOUT} {INTACT if is_whole else BROKEN}", COLUMNS, rows)

    return AppPage("audit", "Tool audit", read)


def _cells(stored: StoredLine) -> tuple[str, str, str, str]:
    line = stored.line
    when = datetime.fromtimestamp(line.at).astimezone().strftime("%H:%M:%S")
    tool = visible(f"{line.server}: {line.tool}" if line.server else line.tool)
    return when, tool, line.policy, line.decision


def _outcome(stored: StoredLine) -> tuple[str, str, str]:
    line = stored.line
    return line.outcome, str(line.milliseconds or ""), line.arguments_sha256[:12]
