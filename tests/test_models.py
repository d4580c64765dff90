"""Words of code that people read."""

from __future__ import annotations

import pytest

from couponctl.models import FindingKind, Labelled, Outcome, label


def test_a_name_is_read_without_underscores() -> None:
    assert label("peak_in_use") == "peak in use"
    assert label("timeout") == "timeout"


@pytest.mark.parametrize("word", [*Outcome, *FindingKind])
def test_a_label_is_the_word_itself_for_people(word: Labelled) -> None:
    assert word.label.split() == word.value.split("_")
    assert type(word.label) is str
