"""Mooncake JSONL: milliseconds, lengths, and a chain of prefix ids."""

from seatrial.workload.formats.layout import Layout

MOONCAKE_BLOCK_TOKENS = 512  # kvcache-ai/Mooncake, FAST25-release/traces: one hash id stands for 512 tokens

MOONCAKE = Layout(
    "mooncake",
    {"arrival_ms": "timestamp", "input_tokens": "input_length", "output_tokens": "output_length", "prefix_hash_ids": "hash_ids"},
    prefix_block_tokens=MOONCAKE_BLOCK_TOKENS,
)
