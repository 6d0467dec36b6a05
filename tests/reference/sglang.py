"""`sglang`: a step of prompt chunks if any prompt has work, else a step of decodes."""

from reference.replica import Batch, Replica
from reference.vllm_v0 import decodes


def schedule(replica: Replica) -> Batch:
    return prompts(replica) or decodes(replica)


def prompts(replica: Replica) -> Batch:
    config, batch = replica.config, []
    budget = config.max_num_batched_tokens
    for sequence in replica.running:
        num_new = min(sequence.missing, budget)
        if num_new > 0 and not sequence.is_decode:
            batch.append(replica.compute(sequence, num_new))
            budget -= num_new
    while replica.waiting and budget > 0 and len(replica.running) < config.max_num_seqs:
        head = replica.waiting[0]
        if not replica.has_room_to_admit(config.blocks_for(head.num_tokens)):
            break
        replica.admit_head(config.blocks_for(head.num_tokens))
        num_new = min(head.num_tokens, budget)
        batch.append(replica.compute(head, num_new))
        budget -= num_new
    return batch
