"""A person's account at an MCP server, and the steps of connecting it; stored sealed."""

from dataclasses import dataclass, field


class NotConnected(Exception):
    """The person has not connected an account, or the server does not accept it any more."""


class ConnectFailed(Exception):
    """An account could not be connected; the message is for people and holds no secret."""


@dataclass(frozen=True, slots=True)
class Client:
    """We as a client of an authorization server. `method` is how we authenticate there."""

    id: str
    secret: str = field(default="", repr=False)
    method: str = "none"


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A configured server. Only an internal one may name internal addresses.

    The configuration says which it is. DNS does not: its answers are those of the host's owner,
    who could have the name resolve to an internal address for a while.
    """

    url: str
    is_internal: bool


@dataclass(frozen=True, slots=True)
class Credential:
    """The tokens of a person. `expires_at` is in epoch seconds, 0 if unknown."""

    server_url: str
    issuer: str
    client: Client
    token_url: str
    resource: str
    revocation_url: str = ""
    scope: str = ""
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    id: str = ""
    """Differs between two times that an account was connected; a renewal keeps it."""
    is_internal: bool | None = None
    """Only for workers of an older version: the configuration decides."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that was sent to a person; `name` and `workspace` are shown on its page."""

    team_id: str
    user_id: str
    server: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Authorization:
    """A visit to the authorization server that is under way. `browser` is the hash of the cookie of
    the browser that began it."""

    invitation: Invitation
    credential: Credential
    verifier: str = field(repr=False)
    browser: str
    demands_iss: bool = False
    """The server has announced that it names itself in its answer."""


@dataclass(frozen=True, slots=True)
class Granted:
    """An account that waits for its code: the tokens are here, and are used once the person enters
    the code in Slack."""

    invitation: Invitation
    credential: Credential
