"""Schemathesis over the whole OpenAPI document, with every kind of credential."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.chaos.report import Report
from tests.fuzz.target import HANG, Tally, Target

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
KEPT = ("authorization", "x-context-namespace")  # headers that cases must not put ours aside with


async def fuzz_rest(target: Target, examples: int, start: int, report: Report) -> None:
    """`examples` cases of each kind (valid, invalid) for each operation and each credential."""
    document = await asyncio.to_thread(lambda: requests.get(f"{target.url}/openapi.json", timeout=120).json())
    tallies = await asyncio.to_thread(_run, target, document, examples, start)
    report.tell("operations", len(list(operations(document))))
    for name, tally in tallies.items():
        tally.tell(f"REST, credential {name}", report)


def operations(document: dict[str, Any]) -> Iterator[Any]:
    """Every operation of the document; told of security schemes, schemathesis would leave out our credential."""
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    document.pop("security", None)
    document.get("components", {}).pop("securitySchemes", None)
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        if not isinstance(result, Ok):
            raise TypeError(f"an operation cannot be read: {result}")
        yield result.ok()


def _run(target: Target, document: dict[str, Any], examples: int, start: int) -> dict[str, Tally]:
    tallies = {name: Tally() for name in target.callers}
    with requests.Session() as session:
        for operation in operations(document):
            for name, headers in target.callers.items():
                for mode in MODES:
                    _try(session, target.url, operation, headers, mode, examples, start, tallies[name])
            print(f"{operation.label}: {sum(tally.cases for tally in tallies.values())} cases so far", flush=True)
    return tallies


def _try(
    session: requests.Session,
    url: str,
    operation: Any,
    headers: Mapping[str, str],
    mode: GenerationMode,
    examples: int,
    start: int,
    tally: Tally,
) -> None:
    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: Any) -> None:
        for name in list(case.headers or ()):
            if name.lower() in KEPT:
                del case.headers[name]
        began, what = time.monotonic(), f"{operation.label} {mode.value}"
        try:
            answer = case.call(base_url=url, headers=dict(headers), session=session, timeout=HANG)
        except (requests.RequestException, ValueError, UnicodeError) as error:
            # What the client itself cannot put on the wire is no case; a timeout is a hang.
            if isinstance(error, requests.Timeout):
                tally.blame("hangs", f"{what}: {case.as_curl_command()[:300]}")
            return
        shown = "\n".join(f"{key}: {value}" for key, value in answer.headers.items())
        text = f"{shown}\n\n{answer.text}\n{case.as_curl_command()[:400]}" if answer.status_code >= 500 else answer.text
        tally.judge(what, answer.status_code, time.monotonic() - began, text)

    try:
        attempt()
    except (schemathesis.errors.SchemathesisError, Unsatisfiable):
        return  # nothing invalid can be made for an operation that takes nothing
