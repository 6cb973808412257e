"""What monitoring wants to know of any process: which build it is, how long it took to start, what it may use, and
until when its certificates hold.
"""

import os
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import Gauge

from context_common import tls
from context_common.telemetry.settings import Telemetry

BUILD = Gauge("context_build_info", "1, labelled with what is running", ["service", "version", "revision"])
START = Gauge("context_start_seconds", "Time from the start of the process until it did this", ["until"])
MEMORY = Gauge("context_memory_limit_bytes", "Memory that the process may use: its container's limit, or the machine's")
CERTIFICATE = Gauge(
    "context_certificate_expiry_timestamp_seconds", "When the first certificate in the file ends", ["file"]
)
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
VERSION, UTC_TIME = 0xA0, 0x17  # tags of ASN.1

_started: set[str] = set()


def show(settings: Telemetry) -> None:
    """Set what does not change."""
    BUILD.labels(settings.service, settings.version, settings.revision).set(1)
    MEMORY.set(memory_limit())
    started("main")


def show_certificates(files: tls.Files) -> None:
    """Have every scrape look at `files`, which may be replaced."""
    show_certificate("certificate", files.certificate)
    show_certificate("authorities", files.authorities)


def show_certificate(name: str, path: Path) -> None:
    """Have every scrape look at one file, under `name`."""
    CERTIFICATE.labels(name).set_function(lambda: expiry(path))


def started(until: str) -> None:
    """Keep how old the process is when it does this for the first time."""
    if until not in _started:
        _started.add(until)
        START.labels(until).set(age())


def age() -> float:
    """Seconds since the process was started; 0 where the system does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def memory_limit() -> float:
    """Bytes that this process may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in LIMITS:
        try:
            limit = Path(path).read_text().strip()
        except OSError:
            continue
        return float(min(machine, int(limit))) if limit.isdecimal() else float(machine)
    return float(machine)


def expiry(path: Path) -> float:
    """When the first certificate in a PEM file ends, as a Unix time; 0 where none can be read."""
    try:
        blocks = path.read_text().split(BEGIN)[1:]
        ends = [_not_after(ssl.PEM_cert_to_DER_cert(f"{BEGIN}{block.partition(END)[0]}{END}\n")) for block in blocks]
    except (OSError, ValueError, IndexError):
        return 0.0
    return min(ends, default=0.0)


def _not_after(der: bytes) -> float:
    """Of a certificate: tbsCertificate has version, serial, algorithm, issuer, and then when it begins and ends."""
    _, certificate, _ = _element(der)
    _, rest, _ = _element(certificate)
    tag, _, after = _element(rest)
    rest = after if tag == VERSION else rest
    for _ in range(3):
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest)
    _, _, end = _element(validity)
    tag, value, _ = _element(end)
    text = value.decode()
    year = (2000 if int(text[:2]) < 50 else 1900) + int(text[:2]) if tag == UTC_TIME else int(text[:4])
    text = text[2:] if tag == UTC_TIME else text[4:]
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(0, 10, 2))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """The tag and the content of the first element, and what follows it."""
    length, start = data[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(data[2:start])
    return data[0], data[start : start + length], data[start + length :]
