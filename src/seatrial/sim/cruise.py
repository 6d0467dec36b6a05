"""The common case in one loop: requests that come to a replica with room."""

from collections.abc import Sequence as Ordered
from heapq import heappop, heappush
from math import sqrt
from sys import maxsize

from seatrial.core.batch import Batch
from seatrial.core.record import Status
from seatrial.sim.jump import steps_until
from seatrial.sim.log import pack_run, pack_step
from seatrial.sim.replica import Replica
from seatrial.sim.sequence import Sequence

NEVER = maxsize
COMPLETED = Status.COMPLETED  # looked up once: members of an enum are slow to find

Pending = tuple[int, float, float, int, int]  # row, arrival time, ready time, prompt tokens, output tokens


def may_cruise(replica: Replica) -> bool:
    """Whether nobody waits or has half a prompt, and nothing else needs the engine's full attention."""
    if replica.scheduler.whole_prompts is None or replica.waiting or replica.prefills or replica.decodes.laggards:
        return False
    return replica.passes_horizon and replica.window is None and not replica.reserves


def cruise(replica: Replica, arrivals: Ordered[Pending], place: int) -> int:
    """Take in the arrivals from `place` on, as long as all whom the plan of a step sees start in it with their whole prompts.

    It sees who has come by the start of the step, or, where steps are planned ahead, by the start of the one before (`seen`).
    Gives the place of the first that is not taken, at the latest the last: who comes after that is not known here. All is as if
    `run_until` and `arrive` had been called for each. It is `Replica.coast`, a step of whole prompts and `DecodeSet` over again, on
    local variables: without method calls on the replica it is twice as fast. What is unusual is left to them.
    """
    decodes, laws, members, end = replica.decodes, replica.laws, replica.members, replica.ended.append
    runs, planned = replica.log.runs, replica.log.steps
    heap, residues, block_size, num_blocks = decodes.heap, decodes.residues, replica.block_size, replica.num_blocks
    step_time, last = replica.cost.step_time, len(arrivals) - 1
    new = tuple.__new__  # makes a `Batch` without its Python-level constructor
    max_prompt_tokens, max_step_tokens, max_num_seqs = replica.scheduler.whole_prompts or (0, 0, 0)
    now, step, count, context = replica.now, decodes.step, decodes.count, decodes.context
    seen, ahead = replica.seen_until, replica.plans_ahead
    max_tokens = min(replica.max_model_len, num_blocks * block_size + 1)  # the last token of an answer is never stored
    block_base, peak_blocks, last_run_time = decodes.block_base, replica.peak_blocks, decodes.last_run_time
    num_used_blocks, num_step_blocks = decodes.blocks_after(0), replica.num_step_blocks
    next_finish = heap[0][0] if heap else NEVER
    _, _, ready, num_prompt, num_output = arrivals[place]
    while True:
        while next_finish <= step:  # they have taken their last token
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
            next_finish = heap[0][0] if heap else NEVER
        if place >= last:
            break

        if seen < ready:
            if not count:  # planning waits until somebody comes, or if that is later for the end of the step
                if now < ready:
                    replica.idle_time += ready - now
                    now = ready
                seen = now
                continue
            base, per_context, _, min_context, max_context = laws.get(count) or replica.learn_law(count, context)
            first = base + per_context * context
            increment = per_context * count
            steps = next_finish - step
            duration = steps * first + increment * (0.5 * steps * (steps - 1))
            if now + duration > ready:
                wait, linear = ready - now, first - 0.5 * increment  # as in `steps_until`, which puts it right if need be
                if wait <= 0.0:  # planned ahead: who came during the last step is seen by the next but one
                    steps, duration = 1, first
                else:
                    steps = 1 + int(2 * wait / (linear + sqrt(linear * linear + 2 * increment * wait)))
                    duration = steps * first + increment * (0.5 * steps * (steps - 1))
                    if duration < wait or duration - first - increment * (steps - 1) >= wait:
                        steps, duration = steps_until(ready, now, first, increment, passing=True)
                    if ahead and steps < next_finish - step:
                        steps += 1
                        duration = steps * first + increment * (0.5 * steps * (steps - 1))
            then, context_then = step + steps, context + steps * count
            if context_then > max_context or context < min_context:
                break  # the law holds for a part of the way only, or not at all
            used = block_base + then // block_size * count + sum(residues[: then % block_size])
            if used > peak_blocks:
                if used > num_blocks:
                    break
                peak_blocks = used
            runs += pack_run(now, first, increment, steps, count, count, context, num_used_blocks + residues[step % block_size], used)
            step, context, num_used_blocks = then, context_then, used
            num_step_blocks = used
            if ahead:
                seen = now + ((steps - 1) * first + increment * (0.5 * (steps - 1) * (steps - 2)))
                now = last_run_time = now + duration
            else:
                seen = now = last_run_time = now + duration
            continue

        num_tokens, pairs, held = num_prompt, num_prompt * (num_prompt + 1) // 2, -(-num_prompt // block_size)
        longest, longest_in_all, until = num_prompt, num_prompt + num_output, place + 1
        while arrivals[until][2] <= seen and until < last:  # more have come: they start together
            _, _, _, num_prompt, num_output = arrivals[until]
            num_tokens += num_prompt
            pairs += num_prompt * (num_prompt + 1) // 2
            held += -(-num_prompt // block_size)
            longest, longest_in_all = max(longest, num_prompt), max(longest_in_all, num_prompt + num_output)
            until += 1
        num_new = until - place
        used = num_used_blocks + residues[step % block_size] + held
        if num_tokens + count > max_step_tokens or longest > max_prompt_tokens or len(members) + num_new > max_num_seqs:
            break
        if used > num_blocks or longest_in_all > max_tokens or arrivals[until][2] <= seen:
            break
        if used > peak_blocks:
            peak_blocks = used
        work = (num_new, num_tokens, pairs, num_tokens, count, context, count + num_new, 0, 0, 0)
        duration = step_time(new(Batch, work))
        planned += pack_step(now, duration, count, used, *work)
        num_used_blocks = num_step_blocks = used
        start, now = now, now + duration
        seen = start if ahead else now
        if count:
            step, last_run_time = step + 1, now
            context += count
        while place < until:
            row, arrival_time, _, num_prompt, num_output = arrivals[place]
            seq = Sequence(row, arrival_time, num_prompt, num_output)
            seq.start_time, seq.first_token_time, seq.last_token_time = start, now, now
            held = -(-num_prompt // block_size)
            if num_output == 1:
                seq.finish_time, seq.status = now, COMPLETED
                end(seq)
                num_used_blocks -= held
            else:
                seq.num_computed_tokens, seq.num_tokens, seq.num_blocks = num_prompt, num_prompt + 1, held
                seq.home, seq.join_step, seq.finish_step = decodes, step, step + num_output - 1
                seq.offset = offset = num_prompt - step
                if seq.finish_step < next_finish:
                    next_finish = seq.finish_step
                heappush(heap, (seq.finish_step, row, seq))
                block_base -= -offset // block_size
                residues[-offset % block_size] += 1
                count += 1
                context += num_prompt + 1
                members[row] = seq
            place += 1
        _, _, ready, num_prompt, num_output = arrivals[place]

    replica.now, replica.last_start, replica.peak_blocks, replica.num_step_blocks = now, seen, peak_blocks, num_step_blocks
    decodes.step, decodes.count, decodes.context = step, count, context
    decodes.block_base, decodes.last_run_time = block_base, last_run_time
    return place
