"""Makes the environment that everything runs in, and the model; with nothing but Python's standard library.

    python3 deploy/local/install.py run|dev

The lock says which third-party versions; pip refuses hashes together with editable packages, so ours are a second call.
What is installed already is left alone.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
LOG = VENV / "install.log"
# Not compiled: Python does that for what it imports, which is a small part.
PIP = (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile")
PIP_LOCK = "deploy/local/pip.lock"
LOCKS = {"run": "requirements.lock", "dev": "requirements-dev.lock"}
CONTAINS = {"run": ("run",), "dev": ("run", "dev")}  # what is installed with each

began = time.monotonic()


def say(text: str) -> None:
    """Print a step and the seconds since the beginning."""
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


def digest(kind: str) -> str:
    """Changes whenever what is to be installed does."""
    files = [ROOT / LOCKS[kind], ROOT / "requirements.txt", *sorted(ROOT.glob("*/*/pyproject.toml"))]
    content = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(f"{ROOT} {sys.version_info[:2]}".encode() + content).hexdigest()


def installed() -> dict[str, str]:
    """The digests of what is there."""
    try:
        stamps: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamps if PYTHON.exists() else {}


def run(*command: str) -> None:
    """Run a command, its output in the log; exits with the end of that where it fails."""
    with LOG.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        code = subprocess.run(command, stdout=log, stderr=log, cwd=ROOT, check=False).returncode
    if code != 0:
        sys.exit(f"{LOG.read_text()[-3000:]}\n\nfailed with code {code}: {' '.join(command)}\nall of it is in {LOG}")


def make_environment() -> None:
    """Create .venv, unless there is one of this Python, with a newer pip: that of Python 3.11 takes twice as long."""
    version = "{}.{}".format(*sys.version_info)
    if PYTHON.exists() and (VENV / "lib" / f"python{version}").exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(f"no environment could be made:\n{made.stdout}{made.stderr}")
    run(*PIP, "--require-hashes", "-r", PIP_LOCK)
    say(f"environment for Python {version} in {VENV.name}")


def install(kind: str) -> None:
    """Install what the lock of `kind` says, and our packages in place."""
    run(*PIP, "--require-hashes", "-r", LOCKS[kind])
    say(f"dependencies from {LOCKS[kind]}")
    run(*PIP, "--no-build-isolation", "-r", "requirements.txt")
    say("our own packages")
    STAMP.write_text(json.dumps({**installed(), **{part: digest(part) for part in CONTAINS[kind]}}))


class Model:
    """The export of the model, where it is absent; it needs our sources and pip, so it runs beside the installation."""

    def __init__(self) -> None:
        command = [str(PYTHON), "-m", "context_embedding.export"]
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "services" / "embedding")}
        self._process = subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self._output: list[str] = []
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._output.append(line)
            if line.startswith("model: "):
                say(line.strip())

    def wait(self) -> None:
        """Wait for it, and exit with what it said where it failed."""
        self._reader.join()
        if self._process.wait() != 0:
            sys.exit("".join(self._output) + "\nthe model could not be exported")

    def stop(self) -> None:
        """End it and what it started, where it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)


def main() -> None:
    """Install what the command line names."""
    if sys.argv[1:] not in (["run"], ["dev"]):
        sys.exit("usage: install.py run|dev")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`, or the export would go on alone
    kind = sys.argv[1]
    current = installed().get(kind) == digest(kind)
    if not current:
        make_environment()
    model = Model()
    try:
        if not current:
            install(kind)
        model.wait()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        model.stop()


if __name__ == "__main__":
    main()
