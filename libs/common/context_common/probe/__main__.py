"""`python -m context_common.probe [--service NAME | --http PATH] [ADDRESS]`: exit code 0 where the server is well.

Without ADDRESS it asks the server that this environment configures: LISTEN, or HOST and PORT with --http; with
TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE by mutual TLS.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from context_common import probe
from context_common.settings import Env, SettingsError

TLS = ("TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CA_FILE")


def ask(options: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Ask once.

    Raises:
        Unwell: The server is not.
        SettingsError: Neither the command line nor the environment says where it is.
    """
    read = Env(environ)
    if options.http:
        default = f"{read.text('HOST', '127.0.0.1')}:{read.integer('PORT', 4000, most=65535)}"
    else:
        default = read.listen("LISTEN", "") or "127.0.0.1:"
    host, _, port = (options.address or default).rpartition(":")
    if not host or not port.isdecimal():
        read.reject("where is it? Give ADDRESS as host:port, or set LISTEN")
    paths = [read.text(name, "") for name in TLS]
    read.complain()
    if options.http:
        probe.http(probe.reachable(host), int(port), options.http, options.timeout)
        return
    from context_common.tls import Files

    files = Files(*map(Path, paths)) if all(paths) else None
    probe.grpc_health(f"{probe.reachable(host)}:{port}", options.service, options.timeout, files)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Exit with a word why, unless the server is well."""
    parser = argparse.ArgumentParser(prog="python -m context_common.probe", description="Asks a server how it is.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--service", default="", help="gRPC service whose readiness counts (default: the process lives)")
    what.add_argument("--http", default="", metavar="PATH", help="ask by HTTP, such as /livez")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("address", nargs="?", default="", metavar="ADDRESS", help="host:port")
    try:
        ask(parser.parse_args(arguments), environ)
    except (probe.Unwell, SettingsError) as error:
        sys.exit(f"unwell: {error}")


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
