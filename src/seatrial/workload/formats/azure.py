"""The Azure LLM inference traces (Azure/AzurePublicDataset): absolute timestamps and two lengths."""

from seatrial.workload.formats.layout import Layout

AZURE = Layout("azure", {"arrival_s": "TIMESTAMP", "input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"})
