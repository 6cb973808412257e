"""Runs the project's own nginx configuration on free ports, with a certificate made for it."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from context_local.health import free_ports
from tests.support.certificates import Authority

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx"
DOMAIN, PUBLIC_URL = "context.example.org", "https://context.example.org"
STARTS_WITHIN = 15.0  # seconds


@dataclass(frozen=True)
class Nginx:
    """One that runs, or a folder that it could run from."""

    folder: Path
    http: int
    https: int
    authority: Authority

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https}"

    def trust(self) -> ssl.SSLContext:
        """For clients: knows who signed the certificate, which is for an address only."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        context.check_hostname = False
        return context

    def client(self) -> httpx2.Client:
        """Asks as people do, by the name."""
        return httpx2.Client(
            base_url=self.url, headers={"Host": DOMAIN}, verify=self.trust(), trust_env=False, timeout=30
        )

    def check(self) -> "subprocess.CompletedProcess[str]":
        """`nginx -t`."""
        return subprocess.run([*self.command, "-t"], capture_output=True, text=True, check=False)

    @property
    def command(self) -> list[str]:
        return ["nginx", "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]


def prepare(folder: Path, gateway: str, resolver: str = "127.0.0.1") -> Nginx:
    """The configuration in `folder` as a container has it, but for the ports and where it writes."""
    http, https = free_ports(2)
    authority = Authority("tests")
    (folder / "ssl").mkdir(parents=True)
    certificate, key = authority.issue(DOMAIN)
    (folder / "ssl" / "fullchain.pem").write_bytes(certificate)
    (folder / "ssl" / "privkey.pem").write_bytes(key)
    shutil.copytree(CONFIGURATION / "snippets", folder / "snippets")
    text = (CONFIGURATION / "nginx.conf").read_text()
    # One configuration runs once at a time in /tmp, where a container's is.
    text = text.replace("/tmp/", f"{folder}/").replace("/dev/stdout", f"{folder}/access.log")  # noqa: S108
    # Root's workers would be nobody, who may not look into a folder of root's.
    (folder / "nginx.conf").write_text("user root;\n" + text if os.geteuid() == 0 else text)
    values = {"DOMAIN": DOMAIN, "PUBLIC_URL": PUBLIC_URL, "GATEWAY": gateway, "RESOLVER": resolver}
    for template in (CONFIGURATION / "templates").glob("*.template"):
        text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], template.read_text())
        text = re.sub(r"(listen (?:\[::\]:)?)80\b", rf"\g<1>{http}", text)
        text = re.sub(r"(listen (?:\[::\]:)?)443\b", rf"\g<1>{https}", text)
        (folder / "conf.d").mkdir(exist_ok=True)
        (folder / "conf.d" / template.stem).write_text(text)
    return Nginx(folder, http, https, authority)


@contextmanager
def run(folder: Path, gateway: str, resolver: str = "127.0.0.1") -> Iterator[Nginx]:
    """Serve before `gateway`, `host:port`, for the block."""
    nginx = prepare(folder, gateway, resolver)
    with (folder / "error.log").open("wb") as log:
        process = subprocess.Popen(nginx.command, stderr=log)
    try:
        until = time.monotonic() + STARTS_WITHIN
        while process.poll() is None and time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", nginx.https), 1):
                break
            time.sleep(0.02)
        else:
            raise AssertionError((folder / "error.log").read_text())
        yield nginx
    finally:
        process.terminate()
        process.wait(10)
