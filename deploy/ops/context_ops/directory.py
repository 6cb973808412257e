"""Backups in a directory. What has its name is whole and on the disk: files are synced first and named last."""

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from context_client.errors import CommandFailed
from context_ops.storage import AWAY, CHUNK, Exists, Missing

PARTIAL = ".partial-"
MODE = 0o640  # of a file, whatever the umask: it holds all there is
ABANDONED = 48 * 3600  # seconds after which what a killed run left is removed
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # some network file systems


class Directory:
    """A directory, which must exist: one that is made by itself may be under a volume that is not mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        if not self._root.is_dir():
            raise CommandFailed(f"{root} is no directory; is its volume mounted?", AWAY)

    @property
    def where(self) -> str:
        """As people write it."""
        return str(self._root)

    def names(self, prefix: str = "") -> dict[str, int]:
        """All names with a prefix, and their sizes."""
        start = self._root / prefix.rpartition("/")[0]
        found = {}
        for folder, _, files in os.walk(start):
            if PARTIAL in folder:
                continue
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(self._root).as_posix()
                if name.startswith(prefix) and not file.startswith(PARTIAL):
                    found[name] = path.stat().st_size
        return dict(sorted(found.items()))

    def read(self, name: str) -> Iterator[bytes]:
        """The content, in pieces."""
        try:
            with (self._root / name).open("rb") as file:
                while piece := file.read(CHUNK):
                    yield piece
        except FileNotFoundError:
            raise Missing(f"{self.where} has no {name}") from None

    def put(self, path: Path, name: str) -> None:
        """Store a file of `staging()`."""
        with _failing(name):
            _sync(path)
            target = self._root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(MODE)
            _name_once(path, target)
            _sync(target.parent)

    def write(self, name: str, content: bytes) -> None:
        """Store some bytes."""
        target = self._root / name
        with _failing(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(prefix=PARTIAL, dir=target.parent)
            try:
                with open(handle, "wb") as file:  # noqa: PTH123 - of a descriptor
                    file.write(content)
                Path(partial).chmod(MODE)
                self.put(Path(partial), name)
            finally:
                Path(partial).unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove a file, and its directory where that was the last one."""
        path = self._root / name
        path.unlink(missing_ok=True)
        if path.parent != self._root and not any(path.parent.iterdir()):
            path.parent.rmdir()

    @contextmanager
    def at_hand(self, name: str) -> Iterator[Path]:
        """Where it lies: what only reads needs no right to write there."""
        if not (self._root / name).is_file():
            raise Missing(f"{self.where} has no {name}")
        yield self._root / name

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A directory on the same disk, so that what is ready only needs its name."""
        remove_abandoned(self._root, PARTIAL)
        with _failing("a new directory"):
            made = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self._root))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)


def remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove what runs that were killed left in `folder` under names with `prefix`."""
    for left in folder.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):  # another run removes it too
            if left.stat().st_mtime < time.time() - ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise Exists(f"{name} is there already, and is not overwritten") from None
    except OSError as error:
        raise CommandFailed(f"{name} could not be stored: {error.strerror}", AWAY) from error


def _name_once(path: Path, target: Path) -> None:
    """Give `path` the name `target`, which must be free. A link fails where a rename would overwrite."""
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "File exists") from None
        path.rename(target)
    else:
        path.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
