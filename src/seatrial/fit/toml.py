"""What the data files of all fits are written with."""

import json
from pathlib import Path


def quoted(text: str) -> str:
    """As a string of TOML, which escapes as JSON does, and DEL as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_whole(file: Path, text: str) -> Path:
    """The file, whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(file)
