"""Errors in per cent, as words."""

from seatrial.validate.accuracy import Error


def both(error: Error | None, nothing: str = "", between: str = " / ") -> str:
    """`1.2 / 3.4`: the median and the 90th percentile of its size."""
    return nothing if error is None else f"{pct(error.median_ape_pct)}{between}{pct(error.p90_ape_pct)}"


def pct(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{pct(abs(value))}"
