"""The latencies of a request, defined once: the rows, the tally and the docs all mean these."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.core.record import RequestRecords


class Latencies(NamedTuple):
    """Seconds, an array per definition with a value per request; NaN where a request has none."""

    ttft: NDArray[np.float64]
    tpot: NDArray[np.float64]
    e2e: NDArray[np.float64]
    queue: NDArray[np.float64]
    normalized: NDArray[np.float64]


def latencies(records: RequestRecords) -> Latencies:
    """TTFT, TPOT (also the request's own mean ITL), E2E, queue time and normalised latency; docs/metrics.md has the words.

    TPOT divides by the tokens after the first, so an answer of one token has none.
    """
    output = records.num_output_tokens
    e2e = records.finish_time - records.arrival_time
    # the difference of two moments, and not e2e - ttft, which would round twice
    decode = records.finish_time - records.first_token_time
    return Latencies(
        ttft=records.first_token_time - records.arrival_time,
        tpot=np.where(output > 1, decode, np.nan) / np.maximum(output - 1, 1),
        e2e=e2e,
        queue=records.queue_time,
        normalized=np.where(output > 0, e2e, np.nan) / np.maximum(output, 1),
    )
