"""The words of a page of Markdown: paragraphs, tables, and errors in per cent."""

from collections.abc import Iterable, Iterator, Sequence

from seatrial.validate.accuracy import Error

Lines = Iterator[str]


def paragraph(text: str) -> Lines:
    yield from ("", " ".join(text.split()))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> Lines:
    """The first `words` columns are words, the others numbers."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * words + "---:|" * (len(heads) - words)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def both(error: Error | None) -> str:
    return "" if error is None else f"{pct(error.median_ape_pct)} / {pct(error.p90_ape_pct)}"


def pct(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{pct(abs(value))}"
