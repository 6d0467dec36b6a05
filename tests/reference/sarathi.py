"""`sarathi`: decodes first, then prompts in chunks out of what they leave of the budget."""

from reference.replica import Batch, Replica
from reference.vllm_v0 import decodes


def schedule(replica: Replica) -> Batch:
    config = replica.config
    num_preemptions = replica.num_preemptions
    batch = decodes(replica)
    budget = config.max_num_batched_tokens - len(batch)

    for sequence in replica.running:
        num_new = min(sequence.missing, budget)
        if num_new <= 0 or sequence.is_decode:
            continue
        batch.append(replica.compute(sequence, num_new))
        budget -= num_new
    if replica.num_preemptions > num_preemptions:
        return batch

    while replica.waiting and budget > 0 and len(replica.running) < config.max_num_seqs:
        head = replica.waiting[0]
        if not replica.has_room_to_admit(config.blocks_for(head.num_tokens)):
            break
        replica.admit_head(config.blocks_for(head.num_tokens))
        num_new = min(head.num_tokens, budget)
        batch.append(replica.compute(head, num_new))
        budget -= num_new
    return batch
