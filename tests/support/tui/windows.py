"""`couponctl tui` in a terminal of its own, and what its operator sees there."""

from __future__ import annotations

import codecs
import re
import select
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.cells import cell_len

from couponctl.drills.catalog import DRILLS
from tests.support.programs import COUPONCTL, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}

ESCAPE, ENTER, DOWN, HOME = "\x1b", "\r", "\x1b[B", "\x1b[H"

_SEQUENCE = re.compile(
    r"\x1b\]22;[a-z]+\x07"  # the pointer's shape
    r"|\x1b\[(?:(?P<row>[0-9]+);(?P<column>[0-9]+)H"
    r"|(?P<colour>[0-9;]*)m"
    r"|\?(?P<mode>[0-9]+)(?P<turned>[hl])"
    r"|\?[0-9]+\$p|>[0-9]+u|<u)"  # questions to the terminal, the kitty protocol
)
"""All that the console may tell a terminal."""

_COVERED = "\0"
"""The second cell of a character that takes two."""

_BEFORE = {"7": True, "25": True}
"""The modes that a terminal is in when nothing runs in it: lines wrap, the cursor shows."""


class _Screen:
    """The little of a terminal that it takes to know what is on it."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._cells: dict[int, dict[int, str]] = {}
        self._row = self._column = 0

    def poller(self, more: bytes) -> None:
        text = self._rest + self._decoder.decode(more)
        begun = text.rfind("\x1b", max(0, len(text) - 64))
        whole = begun < 0 or _SEQUENCE.match(text, begun) is not None
        text, self._rest = (text, "") if whole else (text[:begun], text[begun:])
        at = 0
        for sequence in _SEQUENCE.finditer(text):
            self._write(text[at : sequence.start()])
            at = sequence.end()
            if sequence["row"]:
                self._row, self._column = int(sequence["row"]) - 1, int(sequence["column"]) - 1
        self._write(text[at:])

    def _write(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self._column = 0
            elif character == "\n":
                self._row += 1
            else:
                width = cell_len(character)
                line = self._cells.setdefault(self._row, {})
                line |= {
                    self._column: character,
                    **dict.fromkeys(range(self._column + 1, self._column + width), ""),
                }
                self._column += width

    @property
    def text(self) -> str:
        lines = (self._cells.get(row, {}) for row in range(max(self._cells, default=-1) + 1))
        return "\n".join(
            "".join(line.get(at, " ") for at in range(max(line, default=-1) + 1)) for line in lines
        )


class Window(Terminal):
    """A console that runs."""

    _drawn = 0

    @property
    def picture(self) -> str:
        """What is on the screen now."""
        if not self._drawn:
            self._screen = _Screen()
        self._screen.poller(self.seen[self._drawn :])
        self._drawn = len(self.seen)
        return self._screen.text

    def see(self, *wanted: str, gone: str = "") -> str:
        """The picture, as soon as all of it is there, and what was to go is gone."""

        def there() -> bool:
            picture = self.picture
            return all(each in picture for each in wanted) and not (gone and gone in picture)

        try:
            self.until(there)
        except AssertionError:
            raise AssertionError(f"never shown: {wanted} without {gone!r}, but:\n{self.picture}") from None
        return self.picture

    def settle(self) -> None:
        """Read until nothing has been drawn for a moment: what was opened takes keys then."""
        while select.select([self._master], [], [], 0.1)[0]:
            self._read()

    def until(self, condition: Callable[[], object]) -> None:
        """Read what the console shows until the condition holds."""
        self.read_until(lambda _seen: bool(condition()))

    def run_drill(self, name: str) -> None:
        """Go to a drill in the catalog, start it, and agree to it."""
        self.start_drill(name)
        self.see(f"Run {name}?")
        self.type("y")

    def start_drill(self, name: str) -> None:
        """Go to a drill in the catalog and start it; on a private server nobody asks about it."""
        self.type("2")
        self.see("─ Drills ─")
        self.type(HOME + DOWN * [drill.name for drill in DRILLS].index(name))
        self.see(f"─ {name}: ")
        self.type("r")


def unspoken(seen: bytes) -> str:
    """All that is left of the bytes without what the console may tell a terminal."""
    return _SEQUENCE.sub("", seen.decode())


def colours(seen: bytes) -> set[str]:
    """The parameters of every change of colour or style."""
    return {
        sequence["colour"]
        for sequence in _SEQUENCE.finditer(seen.decode(errors="replace"))
        if sequence["colour"]
    }


def modes_left(seen: bytes) -> dict[str, bool]:
    """The modes of the terminal that are not as they were before."""
    now = dict(_BEFORE)
    for sequence in _SEQUENCE.finditer(seen.decode(errors="replace")):
        if sequence["mode"]:
            now[sequence["mode"]] = sequence["turned"] == "h"
    return {mode: on for mode, on in now.items() if on is not _BEFORE.get(mode, False)}


@contextmanager
def window(
    *arguments: str,
    environment: Mapping[str, str],
    program: Sequence[str] = COUPONCTL,
    size: tuple[int, int] = (120, 36),
) -> Iterator[Window]:
    """The console in a window, for as long as the body lasts."""
    opened = Window("tui", *arguments, environment={**TERMINAL, **environment}, program=program, size=size)
    try:
        yield opened
    finally:
        opened.close()
