"""Our own schema, as parquet or CSV: what `convert` writes."""

from seatrial.workload.formats.layout import TIDY_SCHEMA, Layout

TIDY = Layout("tidy", {name: name for name in TIDY_SCHEMA.names})
