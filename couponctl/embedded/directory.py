"""The directory of the private database: created, checked for safety, or refused with a reason."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.errors import BadSettings, TooFewFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_PLACE = "Set COUPONCTL_DATA_DIR to another directory, of your own and with free space."

HALF_MADE = "couponctl-new-"
SWEEP_SECONDS = 3.0


@contextmanager
def explained(base: Path) -> Iterator[None]:
    """Turn the file system's errors into BadSettings or TooFewFiles, with a reason and a remedy."""
    try:
        yield
    except OSError as error:
        if TooFewFiles.explains(error):
            raise TooFewFiles from error
        where = "" if error.filename in {None, str(base)} else f" ({error.filename})"
        raise BadSettings(
            problem=f"{base} cannot hold the private database: {error.strerror or 'copying failed'}{where}",
            way_out=OTHER_PLACE,
        ) from error


def resolved(base: Path) -> Path:
    """Return the directory's absolute path, with links resolved; it need not exist.

    Raises BadSettings if it has none, or none that is valid text.
    """
    try:
        str(base).encode()
        return base.expanduser().resolve()
    except ValueError as error:
        raise BadSettings(
            problem="The path of the private database is not valid text", way_out=OTHER_PLACE
        ) from error
    except (OSError, RuntimeError) as error:
        raise BadSettings(problem=f"{base} leads nowhere: {error}", way_out=OTHER_PLACE) from error


def prepare(base: Path) -> None:
    """Create the directory, closed to others (root's can be traversed); an existing one keeps owner and mode.

    Raises BadSettings if others could replace what is in it, OSError if it cannot be created.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    for path in reversed([path for path in (base, *base.parents) if not path.exists()]):
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(mode)
    facts = base.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise BadSettings(problem=f"{base} is not a directory", way_out=OTHER_PLACE)
    if facts.st_uid not in {0, os.geteuid()} or facts.st_mode & stat.S_IWOTH:
        raise BadSettings(
            problem=f"{base} belongs to another account or is writable by others", way_out=OTHER_PLACE
        )


@contextmanager
def half_made(base: Path) -> Iterator[Path]:
    """Yield a new private directory, which is removed on exit unless it was renamed."""
    fresh = Path(tempfile.mkdtemp(prefix=HALF_MADE, dir=base))
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def sweep(base: Path) -> None:
    """Remove half-made directories of killed commands; the caller holds the starting lock."""
    deadline = time.monotonic() + SWEEP_SECONDS
    for stale in base.glob(f"{HALF_MADE}*"):
        # A program whose parent was killed keeps writing until it finds its files gone.
        while stale.exists() and time.monotonic() < deadline:
            shutil.rmtree(stale, ignore_errors=True)


def is_private(directory: Path, uid: int) -> bool:
    """Whether it is a real directory that belongs to that account and is closed to all others."""
    try:
        facts = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == uid and stat.S_IMODE(facts.st_mode) == 0o700


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, and sync it to disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def sync(directory: Path) -> None:
    """Sync the directory to disk, so that renames in it survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
