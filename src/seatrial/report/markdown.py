"""A page of Markdown: paragraphs and tables."""

from collections.abc import Iterable, Iterator, Sequence

Lines = Iterator[str]


def paragraph(text: str) -> Lines:
    yield from ("", " ".join(text.split()))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> Lines:
    """The first `words` columns are words, the others numbers."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * words + "---:|" * (len(heads) - words)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
