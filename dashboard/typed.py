"""Amounts as people type them: ``12.5M``, ``$850k``, ``12,500,000``. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

SCALES = {
    "": 0,
    **dict.fromkeys(("k", "thousand"), 3),
    **dict.fromkeys(("m", "mm", "mn", "mio", "million"), 6),
    **dict.fromkeys(("b", "bn", "billion"), 9),
}
"""Letters and words after a number, and the zeros they stand for."""

LONGEST = 40
MOST = Decimal(10) ** 15
"""Beyond it an amount is a slip of the keyboard, and would not fit the tables it is compared with."""

_SHAPE = re.compile(r"^[^\d.,+−-]{0,4}?\s*([\d][\d.,'\s]*|[.,]\d+)\s*([a-z]*)\.?\s*[^\d\w]{0,2}$", re.IGNORECASE)


def parse_amount(text: str) -> Decimal | None:
    """The amount typed, in whole cents; None if it is not one, not positive, or too large to be one.

    A mark seen twice groups thousands, and so does a comma before three digits; any other mark that stands alone is the
    decimal one. What was read is written back beside the answer, as ``1.250`` means two things to two readers.
    """
    found = _SHAPE.match(text.strip()) if len(text) <= LONGEST else None
    if found is None or found[2].lower() not in SCALES:
        return None
    digits = re.sub(r"[\s']", "", found[1])
    plain = _plain(digits)
    if plain is None:
        return None
    amount = Decimal(plain).scaleb(SCALES[found[2].lower()])
    return amount.quantize(Decimal("0.01")) if Decimal("0.01") <= amount < MOST else None


def _plain(digits: str) -> str | None:
    """Digits with ``.`` as the decimal mark and no grouping; None where marks contradict each other."""
    marks = [mark for mark in digits if mark in ".,"]
    if not marks:
        return digits
    last = marks[-1]
    if len(set(marks)) == 2:
        grouping = "," if last == "." else "."
        if digits.count(last) > 1 or not _is_grouped(digits.split(last, maxsplit=1)[0], grouping):
            return None
        return digits.replace(grouping, "").replace(last, ".")
    if len(marks) > 1 or (last == "," and _is_grouped(digits, ",")):
        return digits.replace(last, "") if _is_grouped(digits, last) else None
    return digits.replace(",", ".")


def _is_grouped(digits: str, mark: str) -> bool:
    first, *rest = digits.split(mark)
    return 1 <= len(first) <= 3 and all(len(part) == 3 for part in rest)
