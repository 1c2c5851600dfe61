"""Medians, ratios and their spread; no rows and no machines here."""
import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Samples of one row on one machine."""
    median: float
    least: float
    most: float
    count: int


@dataclass(frozen=True)
class Ratio:
    """How many times better the first machine is than the second: of the medians, and the range over the repetitions."""
    value: float
    least: float
    most: float


def summary(samples):
    return Summary(statistics.median(samples), min(samples), max(samples), len(samples)) if samples else None


def ratio(better, other, higher_is_better):
    """Ratio of two lists of samples; those of one repetition stand at the same place and are compared with each other.

    None where there is nothing to compare.
    """
    def one(a, b):
        if higher_is_better:
            a, b = b, a
        return b / a if a > 0 else None

    if not better or not other:
        return None
    value = one(statistics.median(better), statistics.median(other))
    pairs = [r for r in map(one, better, other) if r is not None]
    if value is None or value <= 0 or not pairs:
        return None
    # With an even number of repetitions, the ratio of medians may lie outside the pairs' range.
    return Ratio(value, min(pairs + [value]), max(pairs + [value]))


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values and all(v > 0 for v in values) else None


def short(value):
    """Three significant digits, without an exponent."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"
