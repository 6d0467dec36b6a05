"""Policies by name, as a scenario and the command line write them: `NAME` or `NAME:option=value,...`.

A policy is a frozen dataclass, its options are the fields. It is found through the entry points of its kind, ours and a stranger's by
the same door:

    [project.entry-points."seatrial.routers"]
    mine = "my_package:Mine"
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from inspect import getdoc
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from seatrial.core.errors import PolicyError, nearest
from seatrial.policy.router import Router


def router_named(text: str) -> Router:
    found: Router = _named("router", text)
    return found


class Described(NamedTuple):
    """A policy as its class tells of it. An option without a default is needed."""

    name: str
    what: str
    options: Mapping[str, object]
    needed: tuple[str, ...]


def described(kind: str) -> list[Described]:
    """All policies of a kind, by name. One that cannot be loaded is refused, with where it comes from."""
    return [_described(name, _loaded(kind, point)) for name, point in sorted(known(kind).items())]


def _described(name: str, policy: Any) -> Described:
    own = [field for field in fields(policy) if field.init]
    needed = _needed(policy)
    what = " ".join((getdoc(policy) or "").split("\n\n")[0].split())
    return Described(name, what, {field.name: field.default for field in own if field.name not in needed}, needed)


def _needed(policy: Any) -> tuple[str, ...]:
    """Its options that have no default."""
    return tuple(field.name for field in fields(policy) if field.init and field.default is MISSING)


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
    policy = _loaded(kind, points[name])
    given = _options(kind, name, rest)
    allowed = {field.name: field for field in fields(policy) if field.init}
    if unknown := next((option for option in given if option not in allowed), None):
        offer = nearest(unknown, allowed) if allowed else "it has none"
        raise PolicyError(f"the {kind} {name!r} has no option {unknown!r}; {offer}")
    if not (given or _needed(policy)):
        return policy()  # making a validator takes longer than many a run
    try:
        return TypeAdapter(policy).validate_python(given)
    except ValidationError as error:
        raise PolicyError(f"the {kind} {name!r}: {_complaint(error, given)}") from None


def _loaded(kind: str, point: EntryPoint) -> Any:
    try:
        policy = point.load()
    except (ImportError, AttributeError) as problem:
        raise PolicyError(f"the {kind} {point.name!r} cannot be loaded from {point.value} ({problem}); reinstall what brings it") from None
    if not (is_dataclass(policy) and callable(getattr(policy, "begin", None))):
        raise PolicyError(f"the {kind} {point.name!r}, {point.value}, must be a dataclass with a method begin; docs/{kind}s.md has one")
    return policy


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
