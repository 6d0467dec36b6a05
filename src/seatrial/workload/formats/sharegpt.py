"""ShareGPT JSON: conversations as text, turned into requests whose lengths come from a stated rule.

The file is a list (or one after the other) of `{"id": ..., "conversations": [{"from": "human" | "gpt" | ..., "value": "..."}]}`.
Each answer that follows a question is a request: its prompt is every message before the answer, its output the answer.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import pyarrow as pa

from seatrial.core.errors import WorkloadError
from seatrial.workload.formats.layout import Layout
from seatrial.workload.formats.tabular import JSON_ROWS, json_array, open_text, readable

ASKING = ("human", "user")
ANSWERING = ("gpt", "assistant", "chatgpt", "bing", "bard")
PIECE_CHARACTERS = 2**20
BETWEEN = re.compile(r"[\s,\[]*")  # an opening bracket stands before the first value only: no conversation is a list

CountTokens = Callable[[str], int]


def bytes_over_four(text: str) -> int:
    """The rule where no tokenizer is given: a token is four bytes of UTF-8, and a message's last one may be shorter."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


class Turn(NamedTuple):
    """A request. The names are those of our schema."""

    arrival_s: float
    input_tokens: int
    output_tokens: int
    session_id: str
    turn_index: int


SHAREGPT = Layout(
    "sharegpt",
    {name: name for name in Turn._fields},
    remarks=("the file has no arrival times, so all requests arrive at 0: give a rate or a closed loop",),
)
RULE_REMARK = "the file has text and no lengths: each message counts a token per four bytes of UTF-8, rounded up"


class ShareGptFile:
    """A ShareGPT file as a table of its turns, read conversation by conversation."""

    def __init__(self, path: Path, count_tokens: CountTokens | None = None) -> None:
        self.path = path
        self._count_tokens = count_tokens or bytes_over_four
        self.column_names: tuple[str, ...] = Turn._fields
        next(self._turns(), None)  # so that a file of another kind is refused at once

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        turns = (turn for turn, _ in self._turns())
        while some := list(islice(turns, JSON_ROWS)):
            yield pa.RecordBatch.from_arrays([json_array([getattr(turn, name) for turn in some]) for name in columns], names=list(columns))

    def num_rows_above_zero(self, column: str) -> int | None:
        return None

    def place(self, row: int) -> str:
        turn, conversation = next(islice(self._turns(), row, None))
        return f"{self.path}, row {row} (counting from 0; turn {turn.turn_index} of conversation {conversation})"

    def _turns(self) -> Iterator[tuple[Turn, int]]:
        """Each turn, and the place of its conversation in the file."""
        with readable(self.path), open_text(self.path) as file:
            for index, conversation in enumerate(elements(file, self.path)):
                where = f"{self.path}, conversation {index} (counting from 0)"
                for turn in turns(conversation, self._count_tokens, where, str(index)):
                    yield turn, index


def turns(conversation: Any, count_tokens: CountTokens, where: str, default_id: str) -> Iterator[Turn]:
    messages = conversation.get("conversations") if isinstance(conversation, dict) else None
    if not isinstance(messages, list):
        raise WorkloadError(
            f"{where} has no conversations; ShareGPT has {{id, conversations: [{{from, value}}]}}, other JSON traces one object per line"
        )
    session_id = default_id if conversation.get("id") is None else str(conversation["id"])
    num_tokens, num_turns, asked = 0, 0, False
    for message in messages:
        match message:
            case {"from": str(speaker), "value": str(text)}:
                length = count_tokens(text)
            case _:
                raise WorkloadError(f"{where} has a message without a from and a value that are text")
        if asked and speaker in ANSWERING:
            # an empty question cannot be asked: it counts as one that was never answered
            yield Turn(0.0, num_tokens, length if num_tokens else 0, session_id, num_turns)
            num_turns += 1
        asked = speaker in ASKING or (asked and speaker not in ANSWERING)
        num_tokens += length


def elements(file: TextIO, path: Path) -> Iterator[Any]:
    """The members of a JSON list, or JSON values one after the other, without the whole file in memory."""
    decoder = json.JSONDecoder()
    text, position, wanted = file.read(PIECE_CHARACTERS), 0, PIECE_CHARACTERS
    is_list = text.lstrip().startswith("[")
    while True:
        position = next_value(text, position)
        try:
            value, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as problem:
            if piece := file.read(wanted):
                text, position = text[position:] + piece, 0
                wanted *= 2  # so that one long value is not tried again and again
                continue
            if text[position:].strip() == ("]" if is_list else ""):
                return
            raise WorkloadError(f"{path} is not JSON to its end ({problem.msg}); is the file complete?") from problem
        yield value
        position, wanted = end, PIECE_CHARACTERS


def next_value(text: str, position: int) -> int:
    found = BETWEEN.match(text, position)
    return found.end() if found else position
