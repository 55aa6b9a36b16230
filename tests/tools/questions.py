"""An MCP server that asks people questions during its calls."""

from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, Elicit, MCPServer, RequestStateSecurity, Resolve
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

READ = ToolAnnotations(read_only_hint=True, open_world_hint=False)
KEY = "k" * 32


class Order(BaseModel):
    """The question before an order."""

    name: str = Field(title="Your name", min_length=2, max_length=40)
    count: int = Field(ge=1, le=9)
    size: Literal["small", "large"]
    gift: bool = False


def build(orders: Path, address: str = "https://pay.example.com/now") -> MCPServer[Any]:
    """The server: `order` asks for a form, `clear` for a confirmation, `pay` for a visit to
    `address`. Orders are appended to a file. What it asks survives its own end."""
    server = MCPServer("shop", request_state_security=RequestStateSecurity(keys=[KEY]))

    async def details(item: str) -> Elicit[Order]:
        return Elicit(f"How do you want {item}?", Order)

    @server.tool(annotations=READ)
    def order(item: str, details: Annotated[Order, Resolve(details)]) -> str:
        """Order something."""
        with orders.open("a") as file:
            file.write(f"{item} {details.count} {details.size} {details.gift} {details.name}\n")
        return f"ordered {details.count} x {item}"

    @server.tool(annotations=READ)
    def pay(context: Context) -> CallToolResult | InputRequiredResult:
        """Pay on a page."""
        answers = context.input_responses or {}
        if "visit" not in answers:
            params = ElicitRequestURLParams(message="Please pay.", url=address)
            return InputRequiredResult(input_requests={"visit": ElicitRequest(params=params)})
        text = str(getattr(answers["visit"], "action", ""))
        return CallToolResult(content=[TextContent(text=f"payment: {text}")])

    @server.tool(annotations=READ)
    def clear(context: Context) -> CallToolResult | InputRequiredResult:
        """Delete all orders."""
        answers = context.input_responses or {}
        if "sure" not in answers:
            nothing: dict[str, Any] = {"type": "object", "properties": {}}
            params = ElicitRequestFormParams(message="Are you sure?", requested_schema=nothing)
            return InputRequiredResult(input_requests={"sure": ElicitRequest(params=params)})
        text = str(getattr(answers["sure"], "action", ""))
        return CallToolResult(content=[TextContent(text=f"deletion: {text}")])

    return server
