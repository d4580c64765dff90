"""Files of names that an operator hands in, and the files of answers that come back."""

from __future__ import annotations
