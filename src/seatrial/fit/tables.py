"""A directory of measured operator times, as cells. docs/cost.md has the columns of each table."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from seatrial.core.errors import FitError
from seatrial.fit import attention, links, matrices
from seatrial.fit.cell import Cell
from seatrial.fit.table import SUFFIXES, Note, Table, read_table

READERS: dict[str, tuple[tuple[str, ...], Callable[[Table, Note], Iterator[Cell]]]] = {
    "gemm": (matrices.GEMM_COLUMNS, matrices.gemms),
    "moe": (matrices.EXPERT_COLUMNS, matrices.experts),
    "attention_context": (attention.PROMPT_COLUMNS, attention.prompts),
    "attention_generation": (attention.DECODE_COLUMNS, attention.decodes),
    "mla_context": (attention.LATENT_PROMPT_COLUMNS, attention.latent_prompts),
    "mla_generation": (attention.LATENT_DECODE_COLUMNS, attention.latent_decodes),
    "collectives": (links.COLLECTIVE_COLUMNS, links.collectives),
    "apex_collectives": (links.SEND_COLUMNS, links.sends),
    "moe_all_to_all": (links.EXCHANGE_COLUMNS, links.exchanges),
}


def tables_in(directory: Path) -> list[Path]:
    """Those that can be read; at least one, or it is refused."""
    if not directory.is_dir():
        raise FitError(
            f"no directory {str(directory)!r}; give one with tables like gemm.parquet or gemm.csv (docs/cost.md has their columns)"
        )
    found = [file for stem in READERS for file in (directory / f"{stem}{suffix}" for suffix in SUFFIXES) if file.exists()]
    if not found:
        raise FitError(f"{directory} has no table of operator times; it may have {', '.join(READERS)} as .parquet or .csv")
    for one, other in pairwise(found):
        if one.stem == other.stem:
            raise FitError(f"{directory} has both {one.name} and {other.name}; keep one of them")
    return found


def read_cells(file: Path, tell: Callable[[str], None]) -> Iterator[Cell]:
    """`tell` hears in the end which times are in no cell: how many for each reason."""
    columns, cells = READERS[file.stem]
    left_out = Counter[str]()

    def note(why: str, num_times: int) -> None:
        left_out[why] += num_times

    yield from cells(read_table(file, columns, note), note)
    for why, num_times in left_out.items():
        tell(f"{file.name}: {num_times:,} times are left out: {why}")
