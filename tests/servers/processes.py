"""Real AI servers as processes, from the environments that `dev.py test --servers` installs."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ports import free_port

VARIABLE = "TEST_SERVERS"
START_SECONDS = 300.0
LOADING = 503
TINY_MODEL = Path(__file__).parent / "tiny_model.py"
TINY_GGUF = Path(__file__).parent / "tiny_gguf.py"
CONFIG = """
model_list:
  - model_name: tiny
    litellm_params:
      model: openai/tiny
      api_base: {backend}
      api_key: sk-fake
      use_chat_completions_api: true
general_settings:
  master_key: sk-master
"""


@dataclass(frozen=True)
class RealServer:
    """A running server: how to reach it, and what it can do."""

    name: str
    url: str
    model: str
    key: str = "none"
    checks_keys: bool = False
    any_model: bool = False
    """It serves its only model under any name."""
    echoes: bool = False
    """Behind it is our fake model, which repeats its input."""

    @property
    def settings(self) -> dict[str, Any]:
        """The bot's settings for it."""
        return {
            "openai_base_url": self.url,
            "openai_model": self.model,
            "openai_api_key": self.key,
        }


def program(name: str, command: str) -> Path | None:
    """A program of a server's environment, or of the machine; None if it is not installed."""
    path = Path(os.environ.get(VARIABLE, "/nowhere")) / name / "bin" / command
    found = str(path) if path.exists() else shutil.which(command)
    return Path(found) if found else None


@contextmanager
def open_litellm(folder: Path) -> Iterator[RealServer]:
    """LiteLLM's proxy in front of a chat completions server."""
    with ExitStack() as stack:
        backend = f"http://127.0.0.1:{free_port()}/v1"
        fake = [sys.executable, "-m", "tests.fakes.openai", "--variant", "chat_completions"]
        fake += ["--port", backend.split(":")[2].removesuffix("/v1")]
        stack.enter_context(_running(fake, f"{backend}/models", folder / "backend.log"))
        config, port = folder / "litellm.yaml", free_port()
        config.write_text(CONFIG.format(backend=backend))
        command = [str(program("litellm", "litellm")), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--config", str(config)]
        url = f"http://127.0.0.1:{port}"
        offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(folder)}
        ready = f"{url}/health/liveliness"
        stack.enter_context(_running(command, ready, folder / "litellm.log", **offline))
        yield RealServer("litellm", f"{url}/v1", "tiny", "sk-master", checks_keys=True, echoes=True)


@contextmanager
def open_transformers(folder: Path) -> Iterator[RealServer]:
    """`transformers serve` with a model of random weights."""
    model, port = folder / "tiny", free_port()
    python = str(program("transformers", "python"))
    subprocess.run([python, str(TINY_MODEL), str(model)], check=True, capture_output=True)
    command = [str(program("transformers", "transformers")), "serve", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    url = f"http://127.0.0.1:{port}"
    offline = {"HF_HUB_OFFLINE": "1", "HOME": str(folder)}
    with _running(command, f"{url}/health", folder / "transformers.log", **offline):
        yield RealServer("transformers", f"{url}/v1", str(model))


@contextmanager
def open_llama(folder: Path) -> Iterator[RealServer]:
    """llama.cpp's server with a model of random weights. No answer exceeds 300 tokens."""
    model, port = folder / "tiny.gguf", free_port()
    python = str(program("llama.cpp", "python"))
    subprocess.run([python, str(TINY_GGUF), str(model)], check=True, capture_output=True)
    command = [str(program("llama.cpp", "llama-server")), "--model", str(model), "--jinja"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--predict", "300"]
    url = f"http://127.0.0.1:{port}"
    with _running(command, f"{url}/health", folder / "llama.log", HOME=str(folder)):
        yield RealServer("llama.cpp", f"{url}/v1", "tiny", any_model=True)


@dataclass(frozen=True)
class Kind:
    """A kind of server, and the program that it needs."""

    open: Callable[[Path], Any]
    command: str


KINDS = {
    "litellm": Kind(open_litellm, "litellm"),
    "transformers": Kind(open_transformers, "transformers"),
    "llama.cpp": Kind(open_llama, "llama-server"),
}


@contextmanager
def _running(command: list[str], ready: str, output: Path, **environment: str) -> Iterator[None]:
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **environment}
        )
        try:
            if not _is_ready(process, ready):
                raise RuntimeError(f"{command[0]} did not start:\n{output.read_text()[-2000:]}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_ready(process: "subprocess.Popen[bytes]", url: str) -> bool:
    """Wait until the server answers; False if it does not."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as error:
            if error.code != LOADING:
                return True
            time.sleep(0.2)
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False
