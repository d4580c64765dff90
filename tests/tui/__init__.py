"""The console: what it shows, takes and survives."""

from __future__ import annotations

import pytest

# A picture that is not as it was is to be seen in the failure, line by line.
pytest.register_assert_rewrite("tests.support.tui.pictures")
