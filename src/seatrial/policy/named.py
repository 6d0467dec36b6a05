"""Policies by name, as a scenario and the command line write them: `NAME` or `NAME:option=value,...`.

A policy is a frozen dataclass, its options are the fields. It is found through the entry points of its kind, ours and a stranger's by
the same door:

    [project.entry-points."seatrial.routers"]
    mine = "my_package:Mine"
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import TypeAdapter, ValidationError

from seatrial.core.errors import PolicyError, nearest
from seatrial.policy.router import Router


def router_named(text: str) -> Router:
    found: Router = _named("router", text)
    return found


def known(kind: str) -> dict[str, EntryPoint]:
    """All policies of a kind (`router` ...), by name."""
    return {point.name: point for point in _entry_points(f"seatrial.{kind}s")}


@cache
def _entry_points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


def _named(kind: str, text: str) -> Any:  # Any: what an entry point gives
    name, _, rest = text.partition(":")
    points = known(kind)
    if name not in points:
        raise PolicyError(f"no {kind} {name!r}; {nearest(name, points)}")
    try:
        policy = points[name].load()
    except (ImportError, AttributeError) as problem:
        raise PolicyError(f"the {kind} {name!r} cannot be loaded from {points[name].value} ({problem}); reinstall what brings it") from None
    if not (is_dataclass(policy) and callable(getattr(policy, "begin", None))):
        raise PolicyError(f"the {kind} {name!r}, {points[name].value}, must be a dataclass with a method begin; docs/{kind}s.md has one")
    given = _options(kind, name, rest)
    allowed = {field.name: field for field in fields(policy) if field.init}
    if unknown := next((option for option in given if option not in allowed), None):
        offer = nearest(unknown, allowed) if allowed else "it has none"
        raise PolicyError(f"the {kind} {name!r} has no option {unknown!r}; {offer}")
    try:
        return TypeAdapter(policy).validate_python(given)
    except ValidationError as error:
        raise PolicyError(f"the {kind} {name!r}: {_complaint(error, given)}") from None


def _options(kind: str, name: str, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in text.split(",") if text else ():
        option, equals, value = part.partition("=")
        if not equals or not option.strip():
            raise PolicyError(f"the {kind} {name!r} cannot read {part!r}; write {name}:option=value,...")
        if option.strip() in options:
            raise PolicyError(f"the {kind} {name!r} is given {option.strip()!r} twice; give it once")
        options[option.strip()] = value.strip()
    return options


def _complaint(error: ValidationError, given: Mapping[str, str]) -> str:
    first = error.errors(include_url=False)[0]
    option = str(first["loc"][0]) if first["loc"] else ""
    match first["type"]:
        case "missing":
            return f"it needs the option {option!r}"
        case "value_error":
            return str(first.get("ctx", {}).get("error", first["msg"]))
        case _:
            wanted = first["msg"].removeprefix("Input should be ").split(",")[0]
            return f"the option {option!r} must be {wanted}, not {given[option]!r}"
