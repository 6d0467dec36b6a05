"""`vllm-v0`: a step of whole prompts if any can be admitted, else a step of decodes."""

from reference.replica import Batch, Replica


def schedule(replica: Replica) -> Batch:
    return prompts(replica) or decodes(replica)


def prompts(replica: Replica) -> Batch:
    config, batch = replica.config, []
    budget = config.max_num_batched_tokens
    while replica.waiting and len(replica.running) < config.max_num_seqs:
        head = replica.waiting[0]
        is_first_and_too_long = not batch and head.num_tokens > config.max_num_batched_tokens
        if head.num_tokens > budget and not is_first_and_too_long:
            break
        if not replica.has_room_to_admit(config.blocks_for(head.num_tokens)):
            break
        replica.admit_head(config.blocks_for(head.num_tokens))
        batch.append(replica.compute(head, head.num_tokens))
        budget -= batch[-1][1].num_tokens  # of one that is too long, nothing is left
    return batch


def decodes(replica: Replica) -> Batch:
    """Every decode in order of admission. Preemption goes from the back, so that it only meets those whose turn has not come."""
    batch: Batch = []
    for sequence in list(replica.running):
        if sequence not in replica.running or not sequence.is_decode:
            continue
        if not replica.make_room(sequence, sequence.num_tokens):
            break
        batch.append(replica.compute(sequence, 1))
    return batch
