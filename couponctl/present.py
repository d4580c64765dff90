"""From models to words: the one-line texts and rows that the command line and the console share."""

from __future__ import annotations

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""Untrusted text with every invisible or controlling character spelled out.

    Terminal escapes, bidi controls, zero-width characters, line breaks and lone surrogates become
    `\u{1b}` and the like (CWE-150, CVE-2021-42574); all else stays as it is, on one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(rf"\u{{{ord(c):x}}}" if unicodedata.category(c) in _UNSAFE else c for c in text)
