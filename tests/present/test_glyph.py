"""The one table of signs: each is told by its sign, and the console and the command line colour it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.cli.invocation import Invocation
from couponctl.present import cells
from couponctl.present.glyph import Glyph
from couponctl.tui.text import Tone, glyph_tone

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.mark.parametrize("glyph", Glyph)
def test_a_glyph_is_its_sign_and_one_cell_wide(glyph: Glyph) -> None:
    assert Glyph(str(glyph)) is glyph
    assert cells(glyph) == 1


@pytest.mark.parametrize("glyph", Glyph)
def test_the_console_has_a_tone_for_every_glyph(glyph: Glyph) -> None:
    assert glyph_tone(f"{glyph} any words") is Tone(glyph.tone)


@pytest.mark.parametrize("text", ["", "words", " ✔ not at the beginning"])
def test_what_begins_with_no_glyph_is_plain(text: str) -> None:
    assert glyph_tone(text) is Tone.PLAIN


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: Iterable[str]) -> str:
    monkeypatch.setattr(Invocation, "colored", lambda *_: True)
    Invocation().print_lines(lines)
    return capsys.readouterr().out


def test_the_command_line_colours_what_is_good_or_bad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(monkeypatch, capsys, [f"{Glyph.PASSED} {Glyph.OFF} {Glyph.FAILED} {Glyph.PENDING}"])

    assert out == "\x1b[32m✔\x1b[0m \x1b[33m■\x1b[0m \x1b[31m✘\x1b[0m ◌\n"


def test_signs_that_stand_in_sentences_are_not_coloured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"{Glyph.UNDECIDED} why? {Glyph.WARNING} so! {Glyph.SKIPPED}"

    assert printed(monkeypatch, capsys, [line]) == f"{line}\n"
