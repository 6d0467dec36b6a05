"""`vllm-v1`: whatever runs first, then whoever waits, out of one budget of tokens."""

from reference.replica import Batch, Replica


def schedule(replica: Replica) -> Batch:
    config, batch = replica.config, []
    num_preemptions = replica.num_preemptions
    budget = config.max_num_batched_tokens
    threshold = budget if config.long_prefill_token_threshold is None else config.long_prefill_token_threshold

    turn = 0  # whoever is preempted stands at this turn or behind it
    while turn < len(replica.running) and budget > 0:
        sequence = replica.running[turn]
        num_new = min(sequence.missing, threshold, budget)
        turn += 1
        if num_new == 0:  # its next token is in flight
            continue
        if not replica.make_room(sequence, sequence.num_computed_tokens + num_new):
            return batch
        batch.append(replica.compute(sequence, num_new))
        budget -= num_new
    if replica.num_preemptions > num_preemptions:
        return batch

    while replica.waiting and budget > 0 and len(replica.running) < config.max_num_seqs:
        head = replica.waiting[0]
        found = replica.find_cached(head)
        num_cached = len(found) * config.block_size
        num_new = min(head.num_tokens - num_cached, threshold, budget)
        if num_new < min(head.num_tokens - num_cached, threshold) and not config.enable_chunked_prefill:
            break
        num_asked = head.num_tokens if config.scheduler_reserve_full_isl else num_cached + num_new
        num_held_by_others = sum(block.num_holders > 0 for block in found)  # the idle ones are used up like new ones
        if not replica.has_room_to_admit(config.blocks_for(num_asked) - num_held_by_others):
            break
        replica.admit_head(config.blocks_for(num_cached + num_new), found)
        batch.append(replica.compute(head, num_new))
        budget -= num_new
    return batch
