"""What the fits are told alike: who measured, and when."""

import re
from datetime import date as calendar
from typing import Annotated

from cyclopts import Parameter

from seatrial.core.errors import FitError

Date = Annotated[str | None, Parameter(help="when, as the files will say, like 2026-11; without it, today")]


def dated(date: str | None) -> str:
    """The date that the files will say."""
    if date is not None and not re.fullmatch(r"\d{4}(-\d\d){0,2}", date):
        raise FitError(f"--date cannot be {date!r}; write it like 2026, 2026-11 or 2026-11-30")
    return date or calendar.today().isoformat()
