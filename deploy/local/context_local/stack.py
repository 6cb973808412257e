"""Brings the whole system up, says so step by step, and takes it down."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Mapping, Sequence
from urllib.error import URLError

from context_local import credentials, demo, embedded, migrations, table
from context_local.processes import Process
from context_local.settings import Settings
from context_local.supervisor import StepFailedError, Supervisor
from context_local.tail import Tail

WATCH_EVERY = 0.5  # seconds between looks at logs and processes
STILL_WAITING = 20.0  # seconds of silence that a person should not have to bear
IMPATIENT_AFTER = 0.5  # seconds from one signal to the next that is another one
STEPS: tuple[tuple[str, Sequence[str]], ...] = (
    ("Postgres", ["postgres"]),
    ("migrations", [f"migrate-{name}" for name in table.STORES]),
    ("four services", table.SERVICES),
)


class Stack:
    """One run of the local system."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings, self._environ = settings, environ
        self._at = table.Addresses.find(settings.port)
        self._logs = settings.data_dir / "logs"
        self._supervisor: Supervisor | None = None
        self._began = time.monotonic()
        self._first_signal: float | None = None

    async def run(self) -> int:
        """Run until SIGINT, SIGTERM or SIGHUP; answers the exit code."""
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled, number, stopping)
        work = asyncio.create_task(self._bring_up())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait([work, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
        stopped.cancel()
        results = await asyncio.gather(work, return_exceptions=True)
        await self._take_down()
        return self._explain(results[0])

    def _signalled(self, number: signal.Signals, stopping: asyncio.Event) -> None:
        """Begin to stop; asked again, do not wait. Make passes one signal on twice, hence the pause."""
        now = time.monotonic()
        self._first_signal = self._first_signal or now
        if now - self._first_signal > IMPATIENT_AFTER and self._supervisor:
            self._supervisor.hurry()
        if not stopping.is_set():
            say(f"stopping, asked by {number.name}")
        stopping.set()

    async def _bring_up(self) -> None:
        """Start everything, show that it works, and watch it for as long as it runs."""
        data = self._settings.data_dir / "postgres"
        if self._settings.database_url:
            rows = table.services(self._at, self._settings.database_url)
        else:
            cluster = await asyncio.to_thread(embedded.prepare, data)
            server = table.postgres(cluster)
            migrate = not migrations.current(data)
            found = table.services(self._at, cluster.url, needs=[server.name], migrate=migrate, login=cluster.login)
            rows = [server, *found]
        self._supervisor = Supervisor(rows, self._environ, self._logs, say)
        self._supervisor.start()
        watching = asyncio.create_task(self._watch(self._supervisor))
        try:
            await self._wait_for(self._supervisor, {row.name for row in rows})
            if not self._settings.database_url:
                migrations.remember(data)
            await self._demonstrate(await self._credential(rows))
            await watching
        finally:
            watching.cancel()

    async def _wait_for(self, supervisor: Supervisor, rows: set[str]) -> None:
        """Wait for everything, step by step; a person hears of each."""
        for title, names in STEPS:
            if not rows.issuperset(names):
                continue
            waiting = asyncio.create_task(supervisor.ready(*names))
            try:
                while not (await asyncio.wait([waiting], timeout=STILL_WAITING))[0]:
                    say(f"still waiting for {title}; logs are in {self._logs}")
            finally:
                waiting.cancel()
            await waiting
            self._step(f"{title} ready")

    async def _credential(self, rows: Sequence[Process]) -> str:
        """What we use the system with; its owner is shown the first key where there was none."""
        if not self._settings.protection.auth_required:
            say("development mode: no credentials, and so for this machine only")
            return ""
        knowledge = next(row for row in rows if row.name == "knowledge")
        key = await credentials.first_key(knowledge, self._environ, self._logs / "first-key.log")
        if key:
            say(f"\n{credentials.LABEL}{key}\n(keep it: it is not shown again; CONTEXT_TOKEN gives it to contextctl)")
        return credentials.own_token(self._settings) or key

    async def _demonstrate(self, credential: str) -> None:
        """Load the demo data the first time, and ask one question; neither may fail the start."""
        known = bool(credential) or not self._settings.protection.auth_required
        if self._settings.demo and known:
            await self._load_demo(credential)
        say(f"\nThe context engine is at {self._at.url} (its API at {self._at.url}/docs). Ctrl-C stops it.\n")
        if not known:
            say("Tokens are signed elsewhere (JWT_JWKS_URL), so no example question is asked.")
            return
        try:
            answer = await asyncio.to_thread(demo.ask, self._at.url, credential)
        except (URLError, OSError, ValueError) as error:
            say(f"the example question was not answered: {error}")
            return
        say(f'> contextctl query "{demo.QUESTION}"\n{demo.describe(answer)}\n')

    async def _load_demo(self, credential: str) -> None:
        """Load the demo data where nothing is recorded yet, and go on where that was broken off."""
        begun, loaded = (self._settings.data_dir / f"demo-{state}" for state in ("begun", "loaded"))
        if loaded.exists():
            return
        try:
            wanted = begun.exists() or await asyncio.to_thread(demo.is_wanted, self._at.url, credential)
        except (URLError, OSError, ValueError) as error:
            say(f"demo data: not loaded, for it is not known whether anything is recorded: {error}")
            return
        if not wanted:
            loaded.touch()
            return
        begun.touch()
        environ = {**self._environ, "CONTEXT_TOKEN": credential, "CONTEXT_NAMESPACE": credentials.NAMESPACE}
        failed = await demo.load(self._at.url, environ, self._logs / "demo.log")
        for command in failed:
            say(f"demo data: this failed, see {self._logs / 'demo.log'}: {command}")
        if not failed:
            loaded.touch()
        self._step("demo data loaded" if not failed else "demo data is not complete")

    async def _watch(self, supervisor: Supervisor) -> None:
        """Keep processes.json current and pass on what goes wrong."""
        tail = Tail(self._logs, say)
        known: dict[str, int] = {}
        while True:
            if known != (known := supervisor.pids()):
                state = {"url": self._at.url, "processes": known}
                (self._settings.data_dir / "processes.json").write_text(json.dumps(state, indent=2) + "\n")
            tail.look()
            await asyncio.sleep(WATCH_EVERY)

    async def _take_down(self) -> None:
        if self._supervisor:
            await self._supervisor.stop()
        with contextlib.suppress(FileNotFoundError):
            (self._settings.data_dir / "processes.json").unlink()

    def _explain(self, result: BaseException | None) -> int:
        if isinstance(result, StepFailedError | embedded.EmbeddedError | credentials.FirstKeyError):
            say(f"the start failed: {result}")
            return 1
        if result and not (self._first_signal and isinstance(result, asyncio.CancelledError)):
            raise result
        say("stopped")
        return 0

    def _step(self, what: str) -> None:
        say(f"{time.monotonic() - self._began:6.1f} s  {what}")


def say(text: str) -> None:
    """Print at once, also where the output is no terminal."""
    print(text, flush=True)
