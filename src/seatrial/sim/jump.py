"""How far a run of steps goes."""

from math import sqrt


def steps_until(horizon: float, start: float, first: float, increment: float, *, passing: bool) -> tuple[int, float]:
    """The fewest steps that end at or after `horizon`, or without `passing` the most that end before it; and how long they take.

    The number of steps solves a quadratic; rounding is put right by looking at the neighbours.
    """
    wait = horizon - start
    linear = first - 0.5 * increment
    steps = 1 + int(2 * wait / (linear + sqrt(linear * linear + 2 * increment * wait)))
    duration = steps * first + increment * (0.5 * steps * (steps - 1))
    while start + duration < horizon:
        steps += 1
        duration = steps * first + increment * (0.5 * steps * (steps - 1))
    shorter = duration - first - increment * (steps - 1)
    while steps > 1 and start + shorter >= horizon:
        steps -= 1
        duration = steps * first + increment * (0.5 * steps * (steps - 1))
        shorter = duration - first - increment * (steps - 1)
    return (steps, duration) if passing else (steps - 1, shorter)
