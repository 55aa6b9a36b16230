# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.8 /uv /bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR=/uv-cache
WORKDIR /app
# The dependencies first: they change less often than the code, and stay in their layer.
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY local_slack/pyproject.toml local_slack/
RUN --mount=type=cache,target=/uv-cache \
    uv sync --locked --no-default-groups --no-install-project
COPY bot bot
RUN --mount=type=cache,target=/uv-cache \
    uv sync --locked --no-default-groups --no-editable

# `bot try` also needs the local Slack and a Redis server.
FROM build AS build-try
COPY local_slack local_slack
RUN --mount=type=cache,target=/uv-cache \
    uv sync --locked --no-default-groups --no-editable --extra try

FROM python:3.13-slim AS base
# Only /data is theirs; code and environment belong to root and are already compiled, so that the
# container runs with a read-only root.
RUN groupadd --system --gid 10001 bot \
    && useradd --system --uid 10001 --gid bot --create-home --home-dir /data bot
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
ENV BOT_STATE_DIR=/data/state
# By number: Kubernetes' runAsNonRoot cannot check a name.
USER 10001:10001
WORKDIR /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["bot"]

# docker build --target try -t threadbot-try .
# docker run --rm -it --network host threadbot-try
FROM base AS try
COPY --from=build-try /app/.venv /app/.venv
CMD ["try"]

FROM base
COPY --from=build /app/.venv /app/.venv
ENV BOT_STATE_DIR=/data PORT=3000 BOT_HEALTH_PORT=3001
EXPOSE 3000
# `bot web` and `bot run` answer at PORT, `bot worker` at BOT_HEALTH_PORT.
HEALTHCHECK --interval=30s --timeout=5s --start-period=40s --retries=3 \
    CMD ["python", "-m", "bot.cli.probe"]
CMD ["run"]
