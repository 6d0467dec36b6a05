"""What cyclopts refused, as one sentence for the person who typed it."""

from typing import Literal, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument

from seatrial.core.errors import nearest

KINDS = {float: "a number", int: "a whole number"}


def complaint(error: CycloptsError) -> str:
    command = " ".join(error.command_chain or ())
    look = f"`seatrial {command} --help` shows"
    match error:
        case UnknownCommandError():
            return unknown_command(error)
        case UnknownOptionError():
            flag = (error.token.keyword or error.token.value).partition("=")[0]
            known = [name for argument in error.argument_collection for name in argument.names if name.startswith("--")]
            return f"{command} has no flag {flag}; {nearest(flag, known)} ({look} them)"
        case MissingArgumentError(argument=Argument() as argument):
            given = {token.partition("=")[0] for token in error.root_input_tokens or ()}
            if flag := next((name for name in argument.names if name in given), ""):
                return f"{flag} needs a value after it"
            return f"{command} needs {argument.name}; {look} what it takes"
        case CoercionError():
            return wrong_value(error)
        case RepeatArgumentError():
            return f"{error.token.keyword} is given twice; give it once"
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return f"{command} has no place for {first!r}; flags begin with --, and {look} what else it takes"
        case _:
            return str(error)


def unknown_command(error: UnknownCommandError) -> str:
    word, *_ = error.unused_tokens or [""]
    group = " ".join(error.command_chain or ())
    known = [name for name in error.app if not name.startswith("-")] if isinstance(error.app, App) else []
    if word.startswith("-"):
        return f"a command must come before {word}: {', '.join(f'{group} {name}'.strip() for name in sorted(known))}"
    return f"there is no command {f'{group} {word}'.strip()!r}; {nearest(word, known)}"


def wrong_value(error: CoercionError) -> str:
    """`msg` is what our own converter allows, without more words; else the type speaks."""
    word = error.token.value if error.token else ""
    place = (error.token and error.token.keyword) or (error.argument.name if error.argument else "a value")
    if get_origin(error.target_type) is Literal:
        return f"{place} cannot be {word!r}; {nearest(word, map(str, get_args(error.target_type)))}"
    if error.target_type is bool:
        return f"{place} takes no value; leave out what follows it"
    allowed = error.msg or KINDS.get(error.target_type or str) or "something else"
    return f"{place} cannot be {word!r}; it must be {allowed}"
