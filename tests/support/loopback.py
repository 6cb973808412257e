"""Requests to this machine in the clear.

A client as httpx2 makes it reads all authorities that there are, also where none is needed: ten times the work of
asking a service here.
"""

import ssl
from functools import partial

import httpx2

NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: whatever is asked over TLS is refused
# As httpx2 has them, but that no proxy of the environment is asked either.
request = partial(httpx2.request, verify=NOBODY, trust_env=False)
get = partial(request, "GET")
post = partial(request, "POST")
