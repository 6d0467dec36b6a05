"""A generator that resembles a trace, as a spec and as a scenario fragment."""

import yaml

from seatrial.core.errors import WorkloadError
from seatrial.workload.describe import Description
from seatrial.workload.spec import WorkloadSpec


def fit_spec(description: Description) -> WorkloadSpec:
    """As many requests as were seen, with their rate, CV, lengths and the rank correlation of these.

    Sessions and shared prefixes are not fitted: prompts that carry a conversation are drawn as prompts of that length.
    """
    if description.arrival_fit is None:
        raise WorkloadError(
            "this trace has no arrival times to fit a process to; run its lengths in a closed loop, or write 'arrivals' yourself"
        )
    correlation = round(description.rank_correlation or 0.0, 3)
    fitted = {
        "num_requests": description.num_requests,
        "arrivals": description.arrival_fit.best,
        "input": description.input_fit.best,
        "output": description.output_fit.best,
    }
    return WorkloadSpec.model_validate(fitted | ({"correlation": correlation} if abs(correlation) >= 0.02 else {}))


def fragment(description: Description, origin: str) -> str:
    """The fitted spec as YAML under the key `workload`, with the reasons as comments. `origin` names the trace."""
    spec = fit_spec(description)
    assert description.arrival_fit is not None
    reasons = {
        "arrivals": description.arrival_fit.criterion,
        "input": description.input_fit.criterion,
        "output": description.output_fit.criterion,
    }
    comments = [f"Fitted to {origin}: {description.num_requests:,} requests in {description.span:,.0f} s."]
    comments += [f"{name}: {reason}." for name, reason in reasons.items()]
    if description.sessions or description.prefixes:
        comments.append("Sessions and shared prefixes of the trace are not part of the fit.")
    head = "".join(f"# {line}\n" for comment in comments for line in comment.splitlines())
    # a value's line may be long (a hundred values); wrapping it makes it no clearer
    body = yaml.safe_dump({"workload": spec.model_dump(exclude_unset=True)}, sort_keys=False, default_flow_style=None, width=140)
    return head + body
