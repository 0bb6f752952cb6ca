"""What a study expects, where from, and what it got."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from . import console


@dataclass(frozen=True, kw_only=True)
class Check:
    """One expectation. It holds if `got` is a number within `low` … `high`; either end may be infinite.

    topic groups checks in a table; what says what was measured and how; source says who expects it.
    """

    topic: str
    what: str
    got: float
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    source: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.low <= self.got <= self.high)  # False for NaN

    @property
    def expected(self) -> str:
        """The range as a reader wants it."""
        low, high = console.cell(float(self.low)), console.cell(float(self.high))
        if math.isinf(self.low):
            text = f"≤ {high}"
        elif math.isinf(self.high):
            text = f"≥ {low}"
        else:
            text = f"{low} … {high}"
        return f"{text} {self.unit}".strip()

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "topic": self.topic, "what": self.what, "expected": self.expected, "got": self.got, "unit": self.unit,
            "passed": self.passed, "source": self.source,
        }  # fmt: skip


def table(title: str, checks: Iterable[Check]) -> None:
    """Print checks, those that do not hold marked, never dropped."""
    rows = [
        (check.topic, check.what, check.expected, f"{console.cell(float(check.got))} {check.unit}".strip(),
         "holds" if check.passed else "DOES NOT HOLD", check.source)
        for check in checks
    ]  # fmt: skip
    console.table(title, ["topic", "check", "expected", "got", "", "source"], rows)


def counts(checks: Iterable[Check]) -> dict[str, float]:
    """`checks_passed` and `checks_total`."""
    checks = list(checks)
    return {"checks_passed": sum(check.passed for check in checks), "checks_total": len(checks)}
