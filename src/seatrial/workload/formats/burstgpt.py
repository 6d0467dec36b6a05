"""BurstGPT (arXiv 2401.17644): seconds since the first day of the log; a failed request has zero response tokens.

Versions differ in the columns they insert, so all are found by name. The log type (conversation or API) becomes the service.
"""

from seatrial.workload.formats.layout import Layout

BURSTGPT = Layout(
    "burstgpt",
    {
        "arrival_s": "Timestamp",
        "input_tokens": "Request tokens",
        "output_tokens": "Response tokens",
        "session_id": "Session ID",
        "model": "Model",
        "service": "Log Type",
    },
)
