"""`orca`: every decode and every newcomer's whole prompt in each step, memory reserved for the longest that may come."""

from reference.replica import Batch, Replica


def schedule(replica: Replica) -> Batch:
    batch = [replica.compute(sequence, 1) for sequence in replica.running if sequence.is_decode]
    return batch + admit_prompts(replica)


def admit_prompts(replica: Replica) -> Batch:
    """Whole prompts while there are seats and reservations."""
    config, batch = replica.config, []
    while replica.waiting and len(replica.running) < config.max_num_seqs and config.num_reserved_blocks <= replica.num_free_blocks:
        head = replica.admit_head(config.num_reserved_blocks)
        batch.append(replica.compute(head, head.num_tokens))
    return batch
