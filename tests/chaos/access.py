"""Whose credentials a run calls with. Everything else asks for headers by role and namespace only."""

from collections.abc import Callable, Mapping

NAMESPACE_HEADER = "X-Context-Namespace"

Headers = Callable[[str], Mapping[str, str]]
"""Gives the headers of a call that works in a namespace."""


def development(namespace: str) -> Mapping[str, str]:
    """Those of the development mode, where nobody asks for a credential."""
    return {NAMESPACE_HEADER: namespace}


def bearer(credential: str) -> Headers:
    """Those of a key or a JWT."""

    def headers(namespace: str) -> Mapping[str, str]:
        return {NAMESPACE_HEADER: namespace, "Authorization": f"Bearer {credential}"}

    return headers
