"""Tools, their audit, and what may not reach the model."""

from pathlib import Path

from pydantic import Field

from bot.settings.values import Days, HttpUrl, OtherSecret, Seconds


class ToolSettings:
    """Tools, their audit, and what may not reach the model."""

    bot_tools: Path | None = Field(
        None,
        description="File with MCP servers and tools, TOML or `.mcp.json`; see `docs/tools.md`.",
    )
    bot_audit_log: str = Field(
        "",
        description="Where JSON lines about who did what go, for a SIEM: `stdout`, or the path "
        "of a file; empty: nowhere.",
    )
    bot_audit_days: Days = Field(
        400, ge=0, description="Days for which the audit trail of tool calls is kept; 0: forever."
    )
    bot_dlp_rules: Path | None = Field(
        None,
        description="TOML file with regular expressions for what may not reach the model; see "
        "`docs/how-to/data-protection.md`.",
    )
    bot_dlp_url: HttpUrl | None = Field(
        None, description="Address of a service that judges each text before the model gets it."
    )
    bot_dlp_token: OtherSecret | None = Field(None, description="Bearer token for `BOT_DLP_URL`.")
    bot_dlp_timeout: Seconds = Field(
        5, gt=0, description="Seconds for one check; after that the text counts as unchecked."
    )
    bot_dlp_unchecked_files: bool = Field(
        False,
        description="With `BOT_DLP_RULES` or `BOT_DLP_URL`: also send the model files whose text "
        "cannot be read (images, PDFs, audio).",
    )
