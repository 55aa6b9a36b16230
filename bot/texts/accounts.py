"""Texts about people's own accounts at tool servers."""

TITLE = "Connect an account"
LINK_EXPIRED = "This link has expired or was already used. Ask the assistant for another one."
GO_ON = "Continue"
ONLY_YOU = (
    "Continue only if this is you. If another person sent you this link, close the page: the "
    "assistant would use your account for that person."
)
ENTER_CODE = "Enter code"
CODE = "Code"
CODE_HINT = "Eight letters, on the page in your browser. They are valid for ten minutes."
CONNECT = "Connect"
CANCEL = "Cancel"
WRONG_CODE = "This code is wrong or has expired."
TELL_NO_ONE = (
    "Do not give the code to anyone. If you have no such message in Slack, another person has sent "
    "you the link and wants to use your account: close this page."
)
HOME_HEADING = "Connected accounts"
DISCONNECT = "Disconnect"
CONFIRM = "The assistant will forget your account at this server."
INVITED = (
    "Not run: the person has no account connected at this server. They were sent a private message "
    "with a link, which is valid for ten minutes. Suggest that they follow it and ask again."
)
INVITED_BEFORE = (
    "Not run: the person has no account connected at this server, and was already sent a private "
    "message with a link. Suggest that they follow it and ask again."
)
NO_MESSAGE = "Not run: no account is connected, and Slack does not accept a private message."
NOT_CONNECTED = "Not run: the person has no account connected at this server."
SEVERAL_AUTHORS = (
    "Not run: several people have written. A person's own account is used only if that person "
    "asks alone."
)


def about(server: str, name: str) -> str:
    """The first paragraph of the page."""
    return (
        f"The assistant will use your account at {server} when {name} asks it to in Slack, and for "
        "no other person."
    )


def enter_code(server: str) -> str:
    """The page after the person has signed in, above the code."""
    return (
        f"One more step connects your account at {server}: in Slack, open the private message of "
        f"the assistant, press “{ENTER_CODE}”, and enter this code:"
    )


def ask_code(server: str) -> str:
    """The private message after someone has signed in, in mrkdwn."""
    return f"To connect your account at *{server}*, enter the code that your browser shows."


def failed(reason: str) -> str:
    """The page if the account was not connected."""
    return f"The account was not connected: {reason}. Ask the assistant for another link."


def invitation(server: str, link: str) -> str:
    """The private message with the link, in mrkdwn."""
    return (
        f"To answer with your own account, connect it at *{server}*: <{link}|connect>\n"
        "_The link is for you alone. It works once, within ten minutes._"
    )


def connected_note(server: str) -> str:
    """The private message after the account was connected, in mrkdwn."""
    return f"Your account at *{server}* is connected. You can disconnect it in the app's Home tab."


def connect_tool(server: str) -> str:
    """The description of the function that offers to connect an account."""
    return (
        f"Needed for requests about {server}: sends the person who asks a private link to connect "
        "their own account there. Its other functions appear after that."
    )
