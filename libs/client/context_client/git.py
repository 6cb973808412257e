"""What git knows, asked of the `git` command."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCP = re.compile(r"^(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!//)(?P<path>[^\\]+)$")


class GitError(Exception):
    """git is missing, or refused."""


def run(directory: Path, *arguments: str) -> str:
    """What `git` prints when run in `directory`.

    Raises:
        GitError: It failed; the message is git's own.
    """
    # Paths and messages as they are, whatever the user's configuration says.
    command = ["git", "-C", str(directory), "-c", "core.quotePath=false", "-c", "i18n.logOutputEncoding=UTF-8"]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, check=True)  # noqa: S603 - no shell
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise GitError(said.removeprefix("fatal: ") or f"git ended with {error.returncode}") from error
    return done.stdout.decode(errors="replace")


def top(directory: Path) -> Path | None:
    """The work tree that `directory` is in, if it is in one."""
    try:
        return Path(run(directory, "rev-parse", "--show-toplevel").strip()).resolve()
    except GitError:
        return None


def repository(directory: Path) -> str:
    """A name of the repository that is the same in every clone and work tree; empty where there is none.

    That is the address of `origin` without user and password, or else the first commit.
    """
    try:
        address = web_address(run(directory, "config", "--get", "remote.origin.url").strip())
        if address:
            return address
    except GitError:
        pass
    try:
        roots = run(directory, "rev-list", "--max-parents=0", "HEAD").split()
    except GitError:
        return ""  # no commit yet
    return f"git:{roots[-1]}"


def web_address(remote: str) -> str:
    """`git@host:owner/name.git` and its relatives as `https://host/owner/name`; empty for a path on this machine."""
    match = SCP.match(remote)
    if match and "://" not in remote and len(match["host"]) > 1:
        host, path = match["host"], match["path"]
    else:
        parts = urlsplit(remote)
        if parts.scheme in ("", "file") or not parts.hostname:
            return ""
        host, path = parts.hostname, parts.path
    return f"https://{host.lower()}/{path.strip('/').removesuffix('.git')}"


def first_day(file: Path) -> str:
    """The author's day of the commit that brought a file; empty where git does not know, as in a shallow clone."""
    try:
        if run(file.parent, "rev-parse", "--is-shallow-repository").strip() != "false":
            return ""
        days = run(file.parent, "log", "--follow", "--format=%as", "--", file.name).split()
    except GitError:
        return ""
    return days[-1] if days else ""


def commits(directory: Path, limit: int = 0) -> list[dict[str, Any]]:
    """The newest `limit` commits (0: all) that lead to HEAD, oldest first, as snapshots.

    Raises:
        GitError: There is no repository, or no commit in it.
    """
    newest = [f"--max-count={limit}"] if limit else []
    form = "--format=%x00%H%x00%an%x00%as%x00%B%x00"
    tokens = run(directory, "log", "-z", "--reverse", "--name-only", "--no-renames", *newest, form, "--").split("\0")
    found, at = [], 0
    while at < len(tokens):
        if not re.fullmatch(r"[0-9a-f]{40,64}", tokens[at]):
            at += 1
            continue
        commit, author, day, message = tokens[at : at + 4]
        at += 4
        while at < len(tokens) and not tokens[at]:
            at += 1
        files = []
        if at < len(tokens) and tokens[at].startswith("\n"):
            tokens[at] = tokens[at][1:]
            while at < len(tokens) and tokens[at]:
                files.append(tokens[at])
                at += 1
        found.append(snapshot(commit, author, day, message, files))
    return found


def snapshot(commit: str, author: str, day: str, message: str, files: list[str]) -> dict[str, Any]:
    """A commit in the API's words; what is longer than its limits is cut where it is sent."""
    return {
        "type": "snapshot",
        "commit_hash": commit,
        "commit_message": message.strip() or "(no message)",
        "author": author.strip() or "unknown",
        "date": day,
        "changed_files": files,
    }
