"""One writer per run folder."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from dsa_lite.errors import RunFolderError
from dsa_lite.io.files import writing

_NO_LOCKS_HERE = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Lock:
    """Held from construction to `release`. The system lets go of it when the process dies, however it dies."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            owner = _owner(self._fd)
            if not _take(self._fd, owner):
                os.close(self._fd)
                self._fd = None
                who = f"process {owner}" if owner else "another process"
                raise RunFolderError(
                    f"{folder} is in use by {who}",
                    hint=f"wait until it ends, stop it (kill {owner or 'PID'}), or choose another --out",
                )
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go; the emptied file stays, because removing it would race with the next process."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None


def in_use(path: Path) -> bool:
    """Whether another process holds the lock at `path`. Asking takes a free one for an instant."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(fd, _owner(fd))
    except OSError:
        return False
    finally:
        os.close(fd)


def _owner(fd: int) -> int | None:
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        return int(os.read(fd, 32).split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _take(fd: int, owner: int | None) -> bool:
    if sys.platform == "win32":
        return _take_windows(fd)
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
        return owner is None or owner == os.getpid() or not alive(owner)  # a file system without locks
    return True


def _take_windows(fd: int) -> bool:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    os.lseek(fd, 1 << 30, os.SEEK_SET)  # beyond the text, which others may still read
    try:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether a process of that id runs (not on Windows, where asking would end it)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
