"""The common case in one loop: requests that come one at a time to a replica with room."""

from collections.abc import Sequence as Ordered
from heapq import heappop, heappush
from math import inf, sqrt

from seatrial.core.batch import Batch
from seatrial.core.record import Status
from seatrial.sim.jump import steps_until
from seatrial.sim.replica import Replica
from seatrial.sim.sequence import Sequence

COMPLETED = Status.COMPLETED  # looked up once: members of an enum are slow to find

Pending = tuple[int, float, float, int, int]  # row, arrival time, ready time, prompt tokens, output tokens


def may_cruise(replica: Replica) -> bool:
    """Whether nobody waits or has half a prompt, and nothing else needs the engine's full attention."""
    if replica.scheduler.whole_prompts is None or replica.waiting or replica.prefills or replica.decodes.laggards:
        return False
    return replica.passes_horizon and replica.window is None and not replica.reserves


def cruise(replica: Replica, arrivals: Ordered[Pending], place: int) -> int:
    """Take in the arrivals from `place` on, as long as each finds an empty queue and starts at once with its whole prompt.

    Gives the place of the first that is not taken, at the latest the last: who comes after that is not known here. All is as if
    `run_until` and `arrive` had been called for each. It is `Replica.coast`, a step of one prompt and `DecodeSet` over again, on
    local variables: one loop without calls is twice as fast. What is unusual is left to them.
    """
    decodes, laws, members, end = replica.decodes, replica.laws, replica.members, replica.ended.append
    write_run, write_step, write_batch = replica.log.runs.append, replica.log.steps.append, replica.log.batches.append
    heap, residues, block_size, num_blocks = decodes.heap, decodes.residues, replica.block_size, replica.num_blocks
    step_time, last = replica.cost.step_time, len(arrivals) - 1
    max_prompt_tokens, max_step_tokens, max_num_seqs = replica.scheduler.whole_prompts or (0, 0, 0)
    now, step, count, context = replica.now, decodes.step, decodes.count, decodes.context
    max_tokens = min(replica.max_model_len, num_blocks * block_size + 1)  # the last token of an answer is never stored
    block_base, peak_blocks, last_run_time = decodes.block_base, replica.peak_blocks, decodes.last_run_time
    num_used_blocks = decodes.blocks_after(0)
    row, arrival_time, ready, num_prompt, num_output = arrivals[place]
    while True:
        while heap and heap[0][0] <= step:  # they have taken their last token
            finish, _, seq = heappop(heap)
            if seq.finish_step == finish:
                seq.finish_step, seq.finish_time, seq.status = -1, now, COMPLETED
                offset = seq.offset
                block_base += -offset // block_size
                residues[-offset % block_size] -= 1
                num_used_blocks += -(offset + step) // block_size
                count -= 1
                context -= offset + step + 1
                del members[seq.row]
                end(seq)
        if place >= last:
            break

        if now < ready:
            if not count:
                replica.idle_time += ready - now
                now = ready
                continue
            base, per_context, _, _, max_context = laws.get(count) or replica.learn_law(count, context)
            if max_context != inf:
                break
            first = base + per_context * context
            increment = per_context * count
            steps = heap[0][0] - step
            duration = steps * first + increment * (0.5 * steps * (steps - 1))
            if now + duration > ready:
                wait, linear = ready - now, first - 0.5 * increment  # as in `steps_until`, which puts it right if need be
                steps = 1 + int(2 * wait / (linear + sqrt(linear * linear + 2 * increment * wait)))
                duration = steps * first + increment * (0.5 * steps * (steps - 1))
                if duration < wait or duration - first - increment * (steps - 1) >= wait:
                    steps, duration = steps_until(ready, now, first, increment, passing=True)
            then = step + steps
            used = block_base + then // block_size * count + sum(residues[: then % block_size])
            if used > peak_blocks:
                if used > num_blocks:
                    break
                peak_blocks = used
            write_run((now, first, increment, steps, count, count, context, num_used_blocks + residues[step % block_size], used))
            step, num_used_blocks = then, used
            context += steps * count
            now = last_run_time = now + duration
            continue

        held = -(-num_prompt // block_size)
        used = num_used_blocks + residues[step % block_size] + held
        if num_prompt > max_prompt_tokens or num_prompt + count > max_step_tokens or len(members) >= max_num_seqs:
            break
        if arrivals[place + 1][2] <= now or num_prompt + num_output > max_tokens or used > num_blocks:
            break
        if used > peak_blocks:
            peak_blocks = used
        batch = Batch(1, num_prompt, num_prompt * (num_prompt + 1) // 2, num_prompt, count, context, count + 1)
        duration = step_time(batch)
        write_step((now, duration, count, used))
        write_batch(batch)
        seq = Sequence(row, arrival_time, num_prompt, num_output)
        seq.start_time = now
        seq.first_token_time = seq.last_token_time = now = now + duration
        if count:
            step, last_run_time = step + 1, now
            context += count
        num_used_blocks = used
        if num_output == 1:
            seq.finish_time, seq.status = now, COMPLETED
            end(seq)
            num_used_blocks -= held
        else:
            seq.num_computed_tokens, seq.num_tokens, seq.num_blocks = num_prompt, num_prompt + 1, held
            seq.home, seq.join_step, seq.finish_step = decodes, step, step + num_output - 1
            seq.offset = offset = num_prompt - step
            heappush(heap, (seq.finish_step, row, seq))
            block_base -= -offset // block_size
            residues[-offset % block_size] += 1
            count += 1
            context += num_prompt + 1
            members[row] = seq
        place += 1
        row, arrival_time, ready, num_prompt, num_output = arrivals[place]

    replica.now, replica.peak_blocks = now, peak_blocks
    decodes.step, decodes.count, decodes.context = step, count, context
    decodes.block_base, decodes.last_run_time = block_base, last_run_time
    return place
