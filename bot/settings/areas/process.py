"""A process: its ports, metrics and traces, and how much it does at once."""

from pydantic import Field, SecretStr

from bot.settings.values import Count, HttpUrl, Seconds


class ProcessSettings:
    """A process: its ports, metrics and traces, and how much it does at once."""

    port: int = Field(3000, ge=0, le=65535, description="Port of `bot web` and `bot run`.")
    bot_host: str = Field("0.0.0.0", description="Address that `PORT` is bound to.")
    bot_public_url: HttpUrl | None = Field(
        None,
        description="Public address of the bot, like `https://host`; for `bot doctor`, and needed "
        "with `SLACK_CLIENT_ID` and to connect people's accounts.",
    )
    bot_health_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the worker's `/healthz`, `/readyz`, `/metrics`; absent: none.",
    )
    bot_metrics_token: SecretStr | None = Field(
        None, description="Bearer token of `/metrics`; without it `PORT` serves none."
    )
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(
        None, description="Where OpenTelemetry traces go (OTLP over HTTP); absent: nowhere."
    )
    bot_concurrency: Count = Field(
        2000, ge=1, description="Maximum threads that one worker answers at the same time."
    )
    bot_runs_per_minute: Count | None = Field(
        None,
        ge=1,
        description="Maximum runs that all workers together start per minute; absent: no limit.",
    )
    bot_run_deadline: Seconds = Field(
        600, gt=0, description="Seconds after which an unfinished run is cancelled."
    )
