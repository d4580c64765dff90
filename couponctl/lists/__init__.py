"""Files of names from the operator, and the files of answers to them."""

from __future__ import annotations
