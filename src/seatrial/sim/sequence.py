"""A request on its way through a replica."""

from math import inf, nan

from seatrial.core.record import Status
from seatrial.sim.prefix_cache import Holding

UNFINISHED = int(Status.UNFINISHED)  # looked up once: members of an enum are slow to find


class Sequence:
    """How far a request has come. Alive: the replica moves it on.

    While it decodes, its counts stand still and `offset` says the truth: at decode step `s` it has `offset + s` computed tokens
    (see `DecodeSet`). `num_output_tokens` is the future; the views in `core.scheduling` do not show it.
    """

    __slots__ = (
        "arrival_time",
        "deadline",
        "finish_step",
        "finish_time",
        "first_token_time",
        "holding",
        "home",
        "join_step",
        "last_token_time",
        "num_blocks",
        "num_computed_tokens",
        "num_output_tokens",
        "num_preemptions",
        "num_prompt_tokens",
        "num_tokens",
        "offset",
        "row",
        "start_time",
        "status",
        "window_step",
    )  # fmt: skip

    def __init__(self, row: int, arrival_time: float, num_prompt_tokens: int, num_output_tokens: int) -> None:
        self.row = row
        self.arrival_time = arrival_time
        self.num_prompt_tokens = num_prompt_tokens
        self.num_output_tokens = num_output_tokens
        self.num_tokens = num_prompt_tokens  # prompt + generated, as of the last step outside steady decode
        self.num_computed_tokens = 0  # as of the same step
        self.num_blocks = 0  # as of the same step
        self.start_time = nan  # not a number until it comes, like the next two
        self.first_token_time = nan
        self.finish_time = nan
        self.num_preemptions = 0
        self.status = UNFINISHED
        self.deadline = inf  # an answer that ends later is nobody's any more
        self.finish_step = -1  # the decode step after which it is done; -1 while it is not decoding

    # Set at arrival where there is a prefix cache, nowhere else.
    holding: Holding

    # Set when it joins a set of decodes, meaningless before.
    home: object  # the set that counts it
    offset: int
    join_step: int
    last_token_time: float
    window_step: int
