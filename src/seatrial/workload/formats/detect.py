"""Which kind of file a path holds, by its content and its column names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seatrial.core.errors import WorkloadError, nearest
from seatrial.workload.formats.azure import AZURE
from seatrial.workload.formats.burstgpt import BURSTGPT
from seatrial.workload.formats.layout import REQUIRED, Layout, mapped
from seatrial.workload.formats.mooncake import MOONCAKE
from seatrial.workload.formats.sharegpt import RULE_REMARK, SHAREGPT, CountTokens, ShareGptFile
from seatrial.workload.formats.tabular import CsvTable, JsonLinesTable, ParquetTable, TableFile, open_bytes, readable
from seatrial.workload.formats.tidy import TIDY

LAYOUTS = {layout.name: layout for layout in (TIDY, AZURE, BURSTGPT, MOONCAKE, SHAREGPT)}
GENERIC = Layout("table", {ours: theirs for ours, theirs in TIDY.columns.items() if ours != "row"})
RECOGNISED = tuple(layout for layout in LAYOUTS.values() if layout is not SHAREGPT)  # ShareGPT shows by its content
FORMATS = (*LAYOUTS, GENERIC.name)


class Source(NamedTuple):
    """A file, and what its columns mean."""

    file: TableFile
    layout: Layout


def find_source(path: Path, format: str | None, columns: Mapping[str, str] | None, count_tokens: CountTokens | None) -> Source:
    if format is not None and format not in FORMATS:
        raise WorkloadError(f"no trace format is called {format!r}; {nearest(format, FORMATS)}")
    with readable(path):
        file = open_table(path, format, count_tokens)
    if isinstance(file, ShareGptFile):
        if columns or format not in (None, SHAREGPT.name):
            raise WorkloadError(f"{path} is a ShareGPT file; read it as {SHAREGPT.name} and without mapping columns")
        own_rule = () if count_tokens else (RULE_REMARK,)
        return Source(file, replace(SHAREGPT, remarks=SHAREGPT.remarks + own_rule))
    layout = choose_layout(file.column_names, format, columns or {})
    check_columns(path, file.column_names, layout, columns or {})
    return Source(file, layout.within(file.column_names))


def open_table(path: Path, format: str | None, count_tokens: CountTokens | None) -> TableFile:
    if not path.exists():
        raise WorkloadError(f"there is no trace {path}{similar_file(path)}")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise WorkloadError(f"{path} is a device or a pipe; a trace is read more than once, so give a file")
    if path.is_dir():
        raise WorkloadError(f"{path} is a directory; a trace is one file")
    with open_bytes(path) as file:
        start = file.read(4096)
    if not start.strip():
        raise WorkloadError(f"{path} is empty; a trace has at least one request")
    if start.startswith(b"PAR1") or path.suffix in (".parquet", ".pq"):
        return ParquetTable(path)
    opening = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if format == SHAREGPT.name or opening == b"[":
        return ShareGptFile(path, count_tokens)
    if opening != b"{":
        return CsvTable(path)
    if b'"conversations"' in start and format is None:
        return ShareGptFile(path, count_tokens)
    return JsonLinesTable(path)


def choose_layout(names: Sequence[str], format: str | None, columns: Mapping[str, str]) -> Layout:
    asked = LAYOUTS.get(format or "", GENERIC)
    if columns:
        return mapped(columns, asked)
    if format is not None:
        return asked
    return next((layout for layout in RECOGNISED if layout.fits(names)), GENERIC)


def check_columns(path: Path, names: Sequence[str], layout: Layout, columns: Mapping[str, str]) -> None:
    has = f"it has {', '.join(map(repr, names))}"
    if missing := [name for name in dict.fromkeys((*layout.required, *columns.values())) if name not in names]:
        raise WorkloadError(f"{path} has no column {' and no '.join(map(repr, missing))}; {has}; {needs(layout)}{near(missing, names)}")
    found = layout.within(names)
    if twice := [name for name in found.columns.values() if list(names).count(name) > 1]:
        raise WorkloadError(f"{path} has the column {twice[0]!r} more than once; {has}")
    if found.has_prefixes and found.prefix_block_tokens is None and "prefix_block_tokens" not in found.columns:
        raise WorkloadError(f"{path} has prefix_hash_ids but no prefix_block_tokens, the tokens that one id stands for; {has}")


def needs(layout: Layout) -> str:
    if layout.name != GENERIC.name:
        return f"a trace in the format {layout.name} needs {', '.join(layout.required)}"
    others = "; ".join(f"{each.name}: {', '.join(each.required)}" for each in RECOGNISED if each is not TIDY)
    return f"a trace needs {', '.join(REQUIRED)} (or {others}), or columns that map these names to the file's"


def similar_file(path: Path) -> str:
    siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = nearest(path.name, siblings, most=1) if siblings else ""
    return f"; {hint}" if hint.startswith("did you mean") else "; look at the path"


def near(missing: Sequence[str], names: Sequence[str]) -> str:
    hints = ((name, nearest(name, names, most=1)) for name in missing)
    return "".join(f"; for {name!r} {hint}" for name, hint in hints if hint.startswith("did you mean"))
