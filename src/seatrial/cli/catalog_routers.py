"""`seatrial catalog routers`: who can decide which replica serves a request."""

from seatrial.cli.flags import Json
from seatrial.cli.output import print_json, show
from seatrial.policy.named import described
from seatrial.report.routers import routers_report


def routers(*, json: Json = False) -> None:
    known = described("router")
    if json:
        print_json({"routers": [each._asdict() for each in known]})
    else:
        show(*routers_report(known))
