"""Questions of tools to people: the card, the form, and its errors."""

QUESTION = "A tool has a question for you"
VISIT = "A tool asks you to visit a page"
ANSWER = "Answer"
DONE = "I have done it"
DECLINE = "Decline"
OPEN = "Open"
ADDRESS = "Address"
DOMAIN = "Domain"
TITLE = "A tool's question"
SEND = "Send"
CANCEL = "Cancel"
NO_SECRETS = "Do not enter passwords or other secrets here: your answer goes to the server above."
CHECK_ADDRESS = "Check the domain before you open the page. The assistant does not read it."
YES = "Yes"
NO = "No"

REQUIRED = "Please fill this in."
NO_DATE = "This is not a date."
NO_CHOICE = "Please choose one of the options."
NO_NUMBER = "This is not a number."
WHOLE = "This is not a whole number."
NO_EMAIL = "This is not an email address."
NO_URL = "This is not an address such as https://example.com."
NOT_ANSWERED = "no answer came"


def pattern(expression: str) -> str:
    """The regular expression that a text must match."""
    return f"Format: {expression}"


def at_least(least: float) -> str:
    """A number is too small, or too few choices are taken."""
    return f"At least {_plain(least)}, please."


def at_most(most: float) -> str:
    """A number is too large, or too many choices are taken."""
    return f"At most {_plain(most)}, please."


def longer(least: float) -> str:
    """A text is too short."""
    return f"Please enter at least {_plain(least)} characters."


def shorter(most: float) -> str:
    """A text is too long."""
    return f"Please enter at most {_plain(most)} characters."


def _plain(number: float) -> str:
    return f"{number:.15g}"
