"""A TOML file in which every number names its source, checked while it is read."""

import re
import tomllib
from pathlib import Path
from typing import Any

from seatrial.core.accelerator import Fact
from seatrial.core.errors import CatalogError, in_words, nearest


class DataFile:
    """A data file while it is read: it hands out checked values, and notes in `facts` where each number comes from.

    A `place` names a key by the tables around it: `device.memory`.
    """

    def __init__(self, file: Path, kind: str) -> None:
        self.file = file
        self.kind = kind
        self.facts: dict[str, Fact] = {}
        try:
            self.root = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise CatalogError(f"{kind} file {file} cannot be read: {in_words(problem)}") from problem

    def error(self, place: str, problem: str) -> CatalogError:
        return CatalogError(f"{self.kind} file {self.file}: {place or 'the file'} {problem}")

    def table(self, place: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> dict[str, Any]:
        """The table at `place`, which has all the required keys and none but these and the optional ones."""
        found: Any = self.root
        for key in place.split(".") if place else ():
            found = found.get(key)
        if not isinstance(found, dict) or not found:
            raise self.error(place, f"is {found!r}; it must be a table with {' and '.join(required) or 'some of ' + ', '.join(optional)}")
        for key in found:
            if key not in required + optional:
                raise self.error(place, f"has an unknown key {key!r}; {nearest(key, required + optional)}")
        for key in required:
            if key not in found:
                raise self.error(place, f"has no {key!r}; it needs {', '.join(required)}")
        return found

    def text(self, place: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(place, f"is {value!r}; it must be a text")
        return value

    def texts(self, place: str, values: object) -> tuple[str, ...]:
        if not isinstance(values, list):
            raise self.error(place, f"is {values!r}; it must be a list of texts")
        return tuple(self.text(place, value) for value in values)

    def number(self, place: str, *, zero: bool = False) -> float:
        """The number at `place`, above zero or, where that is allowed, zero; its source goes into `facts`."""
        table = self.table(place, required=("value", "source"), optional=("note",))
        value = table["value"]
        if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < float("inf") or (zero and value == 0)):
            raise self.error(place, f"has the value {value!r}; it must be a number above zero{' or zero' if zero else ''}")
        fact = self.fact(place, self.text(f"{place}.source", table["source"]))
        if "note" in table:
            fact = fact._replace(source=f"{fact.source}; {self.text(f'{place}.note', table['note'])}")
        self.facts[place.removeprefix("device.")] = fact
        return float(value)

    def setting(self, place: str) -> bool | int | float | str:
        """The switch, number or word at `place`; its source goes into `facts`."""
        table = self.table(place, required=("value", "source"), optional=("note",))
        value = table["value"]
        if not isinstance(value, bool | str):
            number = self.number(place)
            return int(number) if isinstance(value, int) else number
        self.facts[place] = self.fact(place, self.text(f"{place}.source", table["source"]))
        return value

    def count(self, place: str) -> int:
        value = self.number(place)
        if not value.is_integer():
            raise self.error(place, f"has the value {value!r}; it must be a whole number")
        return int(value)

    def fact(self, place: str, name: str) -> Fact:
        """What `[sources]` says under this name."""
        sources = self.root["sources"]
        if not isinstance(sources, dict):
            raise self.error("sources", f"is {sources!r}; it must be a table")
        if name not in sources:
            raise self.error(place, f"has the source {name!r}, which [sources] lacks; {nearest(name, sources)}")
        table = self.table(f"sources.{name}", required=("text", "date"))
        date = self.text(f"sources.{name}.date", table["date"])
        if not re.fullmatch(r"\d{4}(-\d\d){0,2}", date):
            raise self.error(f"sources.{name}.date", f"is {date!r}; write it like 2025, 2025-06 or 2025-06-30")
        return Fact(self.text(f"sources.{name}.text", table["text"]), date)
