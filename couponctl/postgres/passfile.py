"""Reads a password file, such as ~/.pgpass, as libpq does.

The driver's own parser keeps the escapes, fails on a line of four fields or in another encoding, and
takes any socket for `localhost`.
"""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Sequence


def password_in(file: str, *, hosts: Sequence[str], port: int, database: str, user: str) -> str | None:
    """Return the password of the first line that matches; None without one, or if the file cannot be used.

    `hosts` are the names that the file may use for the host. Raises BadSettings if the password is not UTF-8.
    """
    if not file or complaint(file):
        return None
    with suppress(OSError):
        # As in libpq, a line with NUL breaks off there and continues with the next line.
        for line in re.sub(rb"\0[^\n]*\n?", b"", Path(file).read_bytes()).split(b"\n"):
            for host in hosts:
                found = _password(line.rstrip(b"\r"), (host, str(port), database, user))
                if found is not None:
                    return _decoded(found, file)
    return None


def complaint(file: str) -> str:
    """Return why an existing password file is ignored, in words; empty if it is used, or missing."""
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(mode):
        return f"the password file {file} is not a regular file and is ignored"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return f"the password file {file} can be reached by others and is ignored; run: chmod 600 {file}"
    return ""


def _password(line: bytes, wanted: Sequence[str]) -> bytes | None:
    """Return what follows the four fields, if they match."""
    if line.startswith(b"#"):
        return None
    for word in wanted:
        if line.startswith(b"*:"):
            line = line[2:]
            continue
        field, colon, rest = _field(line)
        if not colon or field != word.encode(errors="surrogateescape"):
            return None
        line = rest
    return _field(line)[0]


def _field(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Split at the first unescaped colon: the unescaped field, the colon, the rest."""
    field = bytearray()
    at = 0
    while at < len(line):
        if line[at : at + 1] == b":":
            return bytes(field), b":", line[at + 1 :]
        if line[at : at + 1] == b"\\" and at + 1 < len(line):
            at += 1
        field += line[at : at + 1]
        at += 1
    return bytes(field), b"", b""


def _decoded(password: bytes, file: str) -> str:
    try:
        return password.decode()
    except UnicodeDecodeError:
        raise BadSettings(
            f"the password in {file} is not UTF-8", "Save the file in UTF-8, or change the password."
        ) from None
