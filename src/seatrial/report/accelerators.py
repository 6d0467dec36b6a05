"""Accelerators for people: all that are known, or every number of one."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from seatrial.core.accelerator import Accelerator, Link
from seatrial.core.units import GIB, bytes_text
from seatrial.report.tables import NOTHING, paragraph, table

LEGEND = (
    "Memory in GiB and TB/s; peaks in dense TFLOP/s (16bit: bf16, or fp16 where there is none); the link to the neighbours in GB/s one "
    "way; power and list price of one device. `seatrial catalog accelerators NAME` gives every number of one with its source and date."
)


def accelerators_report(known: Sequence[Accelerator]) -> Iterator[RenderableType]:
    made = table("<accelerator", "GiB", "TB/s", "16bit", "fp8", "fp4", "<link", "GB/s", "W", "$/h")
    made.padding = (0, 0, 0, 0)  # one space between columns, so that all fit in 80 characters
    made.show_edge = False
    for each in known:
        peaks = each.peak_flops
        made.add_row(
            each.name,
            f"{each.memory / GIB:.0f}",
            f"{each.memory_bandwidth / 1e12:.2f}",
            *(tera(peaks.get(name)) for name in ("bf16" if "bf16" in peaks else "fp16", "fp8", "fp4")),
            each.scale_up.name.partition(",")[0].partition(":")[0],
            f"{each.scale_up.bandwidth / 1e9:.0f}",
            f"{each.tdp:.0f}",
            f"{each.price_per_hour:.2f}",
        )
    yield made
    yield paragraph(f"{len(known)} accelerators. {LEGEND}")


def tera(flops: float | None) -> str:
    return NOTHING if flops is None else f"{flops / 1e12:.0f}"


def accelerator_report(found: Accelerator) -> Iterator[RenderableType]:
    links = f"{found.scale_up.name} (scale_up), {found.scale_out.name} (scale_out), {found.host.name} (host)"
    yield paragraph(f"{found.vendor}, {found.architecture}", label="vendor       ")
    if found.aliases:
        yield paragraph(", ".join(found.aliases), label="also called  ")
    yield paragraph(links, label="links        ")
    made = table("<figure", "value", "<date", "<source")
    made.padding = (0, 1, 0, 0)
    made.columns[-1].no_wrap = False
    for place, value in numbers_of(found).items():
        fact = found.sources[place]
        made.add_row(place, value, fact.date, fact.source)
    yield made


def numbers_of(found: Accelerator) -> dict[str, str]:
    """Every number by its place in `sources`, as people write it."""
    return {
        **{f"peak_flops.{name}": f"{flops / 1e12:,.4g} TFLOP/s" for name, flops in found.peak_flops.items()},
        "memory": bytes_text(found.memory),
        "memory_bandwidth": f"{found.memory_bandwidth / 1e12:.4g} TB/s",
        "devices_per_node": f"{found.devices_per_node}",
        "tdp": f"{found.tdp:g} W",
        "idle_power": f"{found.idle_power:g} W",
        "price_per_hour": f"{found.price_per_hour:g} $/h",
        **link_numbers("scale_up", found.scale_up),
        **link_numbers("scale_out", found.scale_out),
        **link_numbers("host", found.host),
    }


def link_numbers(place: str, link: Link) -> dict[str, str]:
    return {f"{place}.bandwidth": f"{link.bandwidth / 1e9:.4g} GB/s", f"{place}.latency": f"{link.latency * 1e6:g} us"}
