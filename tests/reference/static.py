"""`static`: a batch of requests runs until its longest has ended; those that ended before stay as padding."""

from reference.cost import Work
from reference.orca import admit_prompts
from reference.replica import Batch, Replica, Sequence


def schedule(replica: Replica) -> Batch:
    if any(sequence.num_in_flight for sequence in replica.running):
        return []
    if not replica.running:
        return admit_prompts(replica)
    return [pad(sequence) if sequence.has_ended else replica.compute(sequence, 1) for sequence in replica.running]


def pad(sequence: Sequence) -> tuple[Sequence, Work]:
    sequence.num_in_flight += 1
    return sequence, Work(offset=0, num_tokens=0, is_decode=True, samples=True)
