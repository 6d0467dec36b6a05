"""What a pydantic model refused, as one sentence for the person who wrote the file."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from seatrial.core.errors import nearest

Loc = tuple[int | str, ...]


def sentence(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    """`where: place: what was given, what is allowed`, for the most telling of the errors; the others are counted.

    `where` names the file or flag; `model` is the class that refused. A key that does not exist comes first, since a
    misspelt key also shows up as a missing one. Where several shapes are allowed, the one that was nearly met speaks.
    """
    errors = _of_the_nearest_shapes(error.errors(include_url=False), model)
    errors.sort(key=lambda e: _ORDER.get(e["type"], 2))
    first = errors[0]
    text = f"{where}: {_complaint(first, _walk(model, first['loc']))}"
    others = {e["loc"] for e in errors if not (first["type"] == "extra_forbidden" and e["type"] == "missing")} - {first["loc"]}
    return f"{text} (and {len(others)} more to mend)" if others else text


_ORDER = {"extra_forbidden": 0, "union_tag_invalid": 1, "union_tag_not_found": 1, "missing": 3}


class _Place(NamedTuple):
    """Where an error is: the keys as the person wrote them, and the type that was expected there.

    `shape` is the location up to the first untagged choice on the way, and which member spoke; empty without any.
    """

    path: str
    parent: str
    key: str
    parent_type: Any
    expected: Any
    shape: Loc


def _complaint(error: ErrorDetails, place: _Place) -> str:
    context = error.get("ctx", {})
    at, given = _subject(place.path), _shown(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return f"{_subject(place.parent)} has no key {place.key!r}; {nearest(place.key, _keys(place.parent_type))}"
        case "invalid_key":
            return f"{_subject(place.parent)} has the key {place.key}, which is no text; write it in quotes, or check the indentation"
        case "missing":
            return f"{_subject(place.parent)} needs {place.key!r}{_meaning(place.expected)}"
        case "union_tag_invalid":
            tag = str(context["discriminator"]).strip("'")
            known = [name.strip().strip("'") for name in str(context["expected_tags"]).split(",")]
            return f"{_join(place.path, tag)} cannot be {str(context['tag'])!r}; {nearest(str(context['tag']), known)}"
        case "union_tag_not_found":
            tag = str(context["discriminator"]).strip("'")
            return f"{at} needs {tag!r}, one of {', '.join(_tags(place.expected))}"
        case "literal_error" | "enum":
            known = [name.strip().strip("'") for name in str(context["expected"]).replace(" or ", ", ").split(",")]
            return f"{at} cannot be {given}; {nearest(str(error['input']), known)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{at} must be a mapping{_contents(place.expected)}, not {given}"
        case "value_error" | "assertion_error":
            return f"{at}: {context.get('error', error['msg'])}"
        case kind:
            numbers = {name: f"{limit:g}" for name, limit in context.items() if isinstance(limit, int | float)}
            return f"{at} must be {_WANTED[kind].format(**numbers) if kind in _WANTED else _own_words(error)}, not {given}"


_WANTED = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "too_short": "a list of at least {min_length}",
}


def _own_words(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Input should be ").removeprefix("Value should be ").lower()


def _of_the_nearest_shapes(errors: list[ErrorDetails], model: type[BaseModel]) -> list[ErrorDetails]:
    """Of a value that could have had several shapes, only the complaints of the one with the fewest.

    A complaint about the whole value (a text in place of a mapping) weighs most: it was not even that kind of thing.
    """
    weight: dict[Loc, int] = {}
    for e in errors:
        if shape := _walk(model, e["loc"]).shape:
            weight[shape] = weight.get(shape, 0) + (1000 if shape == e["loc"] else 1)
    nearest_shape: dict[Loc, Loc] = {}
    for shape in sorted(weight, key=lambda shape: weight[shape]):
        nearest_shape.setdefault(shape[:-1], shape)
    return [e for e in errors if not (shape := _walk(model, e["loc"]).shape) or nearest_shape[shape[:-1]] == shape]


def _walk(model: type[BaseModel], loc: Loc) -> _Place:
    """Follow a location through the model, leaving out what pydantic adds for the members of a union."""
    here: Any = model
    path, parent, key, parent_type = "", "", "", here
    shape: Loc = ()
    for place, step in enumerate(loc):
        here = _plain(here)
        if _is_union(here):
            if not (_tags(here) or shape):
                shape = loc[: place + 1]
            here = _member(here, str(step))
            continue
        parent, parent_type, key = path, here, str(step)
        path = _join(path, step)
        here = _inside(here, step)
    return _Place(path, parent, key, parent_type, _plain(here), shape)


def _join(path: str, step: int | str) -> str:
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def _subject(path: str) -> str:
    return path or "the top level"


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(annotation: Any) -> Any:
    """Without `Annotated` and without `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if _is_union(annotation):
        members = [m for m in get_args(annotation) if m is not type(None)]
        if len(members) == 1:
            return _plain(members[0])
    return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


def _members(union: Any) -> Iterator[Any]:
    for member in get_args(union):
        plain = _plain(member)
        if _is_union(plain):
            yield from _members(plain)
        elif plain is not type(None):
            yield plain


def _member(union: Any, label: str) -> Any:
    """The member that pydantic calls by this label: its tag, else its class; None for what is neither."""
    return next((m for m in _members(union) if label in _own_tags(m) or label == getattr(m, "__name__", None)), None)


def _fields(annotation: Any) -> dict[str, FieldInfo]:
    return annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, BaseModel) else {}


def _keys(annotation: Any) -> list[str]:
    members = list(_members(annotation)) if _is_union(annotation) else [annotation]
    return list(dict.fromkeys(field.alias or name for member in members for name, field in _fields(member).items()))


def _own_tags(annotation: Any) -> dict[str, str]:
    """The names that a class goes by in a tagged union, each with the key that holds it."""
    literals = ((name, field.annotation) for name, field in _fields(annotation).items() if get_origin(field.annotation) is Literal)
    return {str(tag): name for name, literal in literals for tag in get_args(literal)}


def _tags(annotation: Any) -> dict[str, str]:
    """All the names in a tagged union; none if it is no union, or some member has no tag."""
    members = [_own_tags(member) for member in _members(annotation)] if _is_union(annotation) else []
    return {tag: key for tags in members for tag, key in tags.items()} if all(members) else {}


def _inside(annotation: Any, step: int | str) -> Any:
    """The type behind a key or an index; None where we cannot tell."""
    for name, field in _fields(annotation).items():
        if step in (name, field.alias):
            return field.annotation
    inner = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is dict:
            return inner[1]
        case origin if origin in (list, tuple, set, frozenset):
            return inner[step] if isinstance(step, int) and step < len(inner) and inner[-1] is not Ellipsis else inner[0]
    return None


def _meaning(annotation: Any) -> str:
    """What kind of thing is missing, where that can be said shortly."""
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return f", one of {', '.join(map(str, get_args(plain)))}"
    if plain in (float, int, str, bool):
        return {float: ", a number", int: ", a whole number", str: ", a text", bool: ", true or false"}[plain]
    contents = _contents(plain)
    return f", a mapping{contents}" if contents else ""


def _contents(annotation: Any) -> str:
    if tags := _tags(annotation):
        return f" with {next(iter(tags.values()))!r}, one of {', '.join(tags)}"
    keys = _keys(annotation)
    return f" with the keys {', '.join(keys)}" if keys else ""
