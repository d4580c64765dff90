"""Names in scripts whose characters do not take a cell each."""

from __future__ import annotations

from hypothesis import strategies as st

SCRIPTS = {
    "Thai": "ลดราคาครั้งใหญ่ที่สุด",
    "Devanagari": "त्योहार की छूट",
    "decomposed Korean": "\u1107\u1169\u11b7\u1106\u1161\u11bd\u110b\u1175",
    "Korean": "봄맞이",
    "decomposed Latin": "e\u0301te\u0301",
    "family": "👨\u200d👩\u200d👧",
    "variation selector": "❤\ufe0f☎\ufe0f1\ufe0f\u20e3",
    "skin": "👍🏽",
    "flag": "🇩🇪🇹🇭",
    "CJK": "春節特惠",
    "Arabic": "تخفيضات",
    "a lonely mark": "\u0301\ufe0f",
}
"""Some are sequences of code points that make one character."""

LETTERS = st.characters(categories=["L", "N", "P", "S"])

NAMES = st.lists(st.sampled_from(list(SCRIPTS.values())) | st.text(LETTERS, max_size=3), max_size=3).map(
    " ".join
)
"""What somebody could call a coupon."""
