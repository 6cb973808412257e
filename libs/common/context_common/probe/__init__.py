"""Asks a server of ours how it is, as health checks of containers do: `python -m context_common.probe`."""

import ipaddress
import socket
import ssl
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it brings gRPC, which takes most of the start of a process that asks by HTTP
    from context_common.tls import Files


class Unwell(Exception):
    """The server does not answer, or says that it is not well."""


def reachable(host: str) -> str:
    """How a server that listens on `host` is reached from its own machine: an address for "everywhere" is none."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return str(address) if address.version == 4 else f"[{address}]"


def http(host: str, port: int, path: str, within: float) -> None:
    """GET `path`, by no proxy.

    Raises:
        Unwell: It is not answered by 200 within as many seconds.
    """
    connection = HTTPConnection(host.strip("[]"), port, timeout=within)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise Unwell(f"{host}:{port}{path}: {error!r}") from error
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise Unwell(f"{host}:{port}{path}: status {status}")


def grpc_health(address: str, service: str, within: float, files: "Files | None" = None) -> None:
    """Ask the standard health service about `service`; the empty name is the process alone.

    Args:
        address: `host:port`.
        service: Such as `context.v1.KnowledgeService`, which serves only while what it needs is there.
        within: Seconds.
        files: Our certificate and whom we trust, where servers want one.

    Raises:
        Unwell: It does not answer in time, or not that it serves.
    """
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from context_common.tls import Loaded

    options: list[tuple[str, Any]] = [("grpc.enable_http_proxy", 0)]
    try:
        if files is None:
            channel = grpc.insecure_channel(address, options=options)
        else:
            # The server is reached by loopback, which is seldom a name in its certificate; who signed it still counts.
            options.append(("grpc.ssl_target_name_override", certified_name(address, files, within)))
            loaded = Loaded.load(files)
            credentials = grpc.ssl_channel_credentials(loaded.authorities, loaded.key, loaded.certificate)
            channel = grpc.secure_channel(address, credentials, options=options)
        with channel:
            request = health_pb2.HealthCheckRequest(service=service)
            stub: Any = health_pb2_grpc.HealthStub(channel)
            status = stub.Check(request, timeout=within).status
    except (OSError, grpc.RpcError) as error:
        raise Unwell(f"{address}: {_short(error)}") from error
    if status != health_pb2.HealthCheckResponse.SERVING:
        name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        raise Unwell(f"{address}: {service or 'the process'} is {name}")


def certified_name(address: str, files: "Files", within: float) -> str:
    """A name that the certificate of the server at `address` is for, once we know who signed it.

    Raises:
        OSError: Nobody listens, or with a certificate that we do not trust.
    """
    context = ssl.create_default_context(cafile=files.authorities)
    context.check_hostname = False
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host.strip("[]"), int(port)), within) as plain,
        context.wrap_socket(plain) as secure,
    ):
        certificate = secure.getpeercert() or {}
    names: Any = certificate.get("subjectAltName", ())
    found = [name for kind, name in names if kind == "DNS"] or [name for kind, name in names if kind == "IP Address"]
    return found[0].replace("*", "probe") if found else host


def _short(error: Exception) -> str:
    code, details = getattr(error, "code", None), getattr(error, "details", None)
    return f"{code().name} {details()}".strip() if callable(code) and callable(details) else str(error)
