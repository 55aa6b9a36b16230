"""`dev.py` on a machine with only Python."""

import hashlib
import importlib.util
import io
import json
import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.ops.builds import copy_clone
from tests.ops.processes import ROOT

UV = b"#!/bin/sh\necho 'uv of a test'\n"


@pytest.fixture
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_folder_names_may_have_any_letters_whatever_the_locale(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    asked = "import locale, sys; print(sys.getfilesystemencoding(), locale.getencoding())"
    command = [sys.executable, "-c", asked]
    reported = subprocess.run(
        command, env=dev.environment(), check=True, capture_output=True, text=True
    )
    assert reported.stdout.lower() == "utf-8 utf-8\n"


def make_wheel(version: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"uv-{version}.data/scripts/uv", UV)
    return packed.getvalue()


@contextmanager
def index(files: dict[str, bytes], *, damaged: bool = False) -> Iterator[str]:
    """A package index with these files of uv."""
    listed = [
        {"filename": name, "url": f"../files/{name}", "hashes": {"sha256": _digest(content)}}
        for name, content in files.items()
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            body = files.get(name, json.dumps({"files": listed}).encode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body + b"!" if damaged and name else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheels(version: str) -> dict[str, bytes]:
    tags = ["manylinux_2_17_{m}.manylinux2014_{m}", "musllinux_1_1_{m}", "macosx_11_0_{m}"]
    machines = {platform.machine(), "riscv64"}
    names = [tag.replace("{m}", machine) for tag in tags for machine in sorted(machines)]
    return {f"uv-{version}-py3-none-{name}.whl": make_wheel(version) for name in names}


def test_uv_is_unpacked_from_the_wheel_for_this_machine(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = wheels("0.0.1") | wheels(dev.UV_VERSION)
    with index(files) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        dev.fetch_uv(tmp_path / "bin" / "uv")
    assert subprocess.check_output([tmp_path / "bin" / "uv"]) == b"uv of a test\n"


def test_a_damaged_download_is_not_installed(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with index(wheels(dev.UV_VERSION), damaged=True) as url:
        monkeypatch.setenv("UV_INDEX_URL", url)
        with pytest.raises(ValueError, match="is damaged"):
            dev.fetch_uv(tmp_path / "uv")
    assert not (tmp_path / "uv").exists()


@pytest.mark.parametrize(
    ("system", "machine", "libc", "expected"),
    [
        ("linux", "x86_64", "glibc", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
        ("linux", "aarch64", "", "manylinux2014_aarch64.musllinux_1_1_aarch64"),
        ("linux", "x86_64", "", "musllinux_1_1_x86_64"),
        ("darwin", "arm64", "", "macosx_11_0_arm64"),
        ("darwin", "x86_64", "", "macosx_10_12_x86_64"),
    ],
)
def test_each_machine_gets_its_own_wheel(
    dev: ModuleType, system: str, machine: str, libc: str, expected: str
) -> None:
    """The names are those of uv's real wheels."""
    tags = ["macosx_10_12_x86_64", "macosx_11_0_arm64", "musllinux_1_1_x86_64", "win_amd64"]
    tags += ["manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_17_s390x"]
    tags += ["manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"]
    files = [{"filename": f"uv-{dev.UV_VERSION}-py3-none-{tag}.whl"} for tag in tags]
    wheel = dev.find_wheel(files, system, machine, libc)
    assert wheel["filename"].endswith(f"{expected}.whl")


def test_setup_needs_neither_pip_nor_venv_nor_root(tmp_path: Path) -> None:
    clone = copy_clone(tmp_path / "clone")
    (hidden := tmp_path / "hidden").mkdir()
    for name in ("pip", "venv", "ensurepip"):
        (hidden / f"{name}.py").write_text("raise ModuleNotFoundError(__name__)")
    (tmp_path / "bin").mkdir()
    python = Path(sys.base_prefix) / "bin" / "python3"
    ended = subprocess.run(
        [str(python), "dev.py", "setup"],
        cwd=clone,
        env=os.environ | {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(hidden)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    if "not fetched" in ended.stdout:
        pytest.skip("the package registry cannot be reached")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0].startswith("dev.py: fetching uv")
    assert "dev.py: installing the dependencies" in ended.stdout
    assert (clone / ".venv" / "bin" / "bot").exists()


UNREACHABLE = "ERROR:pip_audit._cli:redis: Dependency not found on PyPI and could not be audited"
AUDITS = {
    "No known vulnerabilities found": (0, "", None),
    "nothing was checked": (1, UNREACHABLE, None),
    "known vulnerability": (1, "Found 1 known vulnerability in 1 package", 1),
}


@pytest.mark.parametrize("said", AUDITS)
def test_an_audit_fails_for_a_vulnerability_and_says_when_it_cannot_check(
    dev: ModuleType,
    tmp_path: Path,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """uv is the real one for the export of the lock file; what pip-audit reports is given."""
    code, errors, exits = AUDITS[said]
    program = tmp_path / "uv"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then exit; fi\n'
        f'if [ "$1" = export ]; then exec "{dev.uv()}" "$@"; fi\n'
        f'case "$*" in *--require-hashes*) ;; *) exit 9;; esac\n'
        f"echo '{said if not errors else ''}'; echo '{errors}' >&2; exit {code}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if exits:
        with pytest.raises(SystemExit, match=said):
            dev.audit()
    else:
        dev.audit()
        assert said in capfd.readouterr().out
    locked = (dev.TOOLS / "requirements.txt").read_text()
    assert "--hash=sha256:" in locked
    assert "slack-bolt==" in locked


@pytest.mark.parametrize(
    ("said", "fails"),
    [("Found 2 known vulnerabilities in 1 package", True), ("nothing was checked", False)],
)
def test_the_tests_fail_for_a_vulnerability_that_the_audit_beside_them_found(
    dev: ModuleType, said: str, fails: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", f"print('{said}'); raise SystemExit(1)"]
    auditor = subprocess.Popen(command, text=True, stdout=subprocess.PIPE)
    if fails:
        with pytest.raises(SystemExit):
            dev.end_audit(auditor)
    else:
        dev.end_audit(auditor)
    assert said in capfd.readouterr().out
