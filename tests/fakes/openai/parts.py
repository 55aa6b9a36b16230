"""Pieces of answers: items of hosted tools, and annotations of both protocols."""

import base64

from .answers import Json


def web_search(query: str) -> Json:
    action = {"type": "search", "query": query, "queries": [query]}
    return {"type": "web_search_call", "status": "completed", "action": action}


def file_search(*queries: str) -> Json:
    return {
        "type": "file_search_call",
        "status": "completed",
        "queries": list(queries),
        "results": None,
    }


def image(content: bytes, output_format: str = "png") -> Json:
    """An image that the model made; it comes as base64 in `result`."""
    return {
        "type": "image_generation_call",
        "status": "completed",
        "result": base64.b64encode(content).decode(),
        "output_format": output_format,
    }


def code(container_id: str, source: str, logs: str = "") -> Json:
    """A run of the code interpreter."""
    return {
        "type": "code_interpreter_call",
        "status": "completed",
        "container_id": container_id,
        "code": source,
        "outputs": [{"type": "logs", "logs": logs}],
    }


def reasoning(*summaries: str) -> Json:
    summary = [{"type": "summary_text", "text": text} for text in summaries]
    return {"type": "reasoning", "summary": summary}


def mcp_approval_request(server_label: str, name: str, arguments: str = "{}") -> Json:
    return {
        "type": "mcp_approval_request",
        "server_label": server_label,
        "name": name,
        "arguments": arguments,
    }


def mcp_call(
    server_label: str,
    name: str,
    output: str | None,
    arguments: str = "{}",
    error: Json | None = None,
    approval: str | None = None,
) -> Json:
    """A call that the server has made itself; one without output and error has not ended."""
    ended = output is not None or error is not None
    return {
        "type": "mcp_call",
        "server_label": server_label,
        "name": name,
        "arguments": arguments,
        "output": output,
        "error": error,
        "approval_request_id": approval,
        "status": "completed" if ended else "in_progress",
    }


def url_citation(start: int, end: int, url: str, title: str) -> Json:
    """`start` and `end` are offsets in characters into the text of the message."""
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "url": url,
        "title": title,
    }


def file_citation(file_id: str, filename: str, index: int) -> Json:
    return {"type": "file_citation", "file_id": file_id, "filename": filename, "index": index}


def container_file_citation(
    container_id: str, file_id: str, filename: str, start: int, end: int
) -> Json:
    return {
        "type": "container_file_citation",
        "container_id": container_id,
        "file_id": file_id,
        "filename": filename,
        "start_index": start,
        "end_index": end,
    }


def file_path(file_id: str, index: int) -> Json:
    return {"type": "file_path", "file_id": file_id, "index": index}


def thread_file_citation(text: str, start: int, file_id: str) -> Json:
    """The Assistants form: `text` is the mark in the message (such as 【4:0†source】)."""
    return {**_mark("file_citation", text, start), "file_citation": {"file_id": file_id}}


def thread_file_path(text: str, start: int, file_id: str) -> Json:
    """The Assistants form: `text` is the `sandbox:` link in the message."""
    return {**_mark("file_path", text, start), "file_path": {"file_id": file_id}}


def _mark(kind: str, text: str, start: int) -> Json:
    return {"type": kind, "text": text, "start_index": start, "end_index": start + len(text)}
