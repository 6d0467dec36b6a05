"""Which of the measured times say something about the hardware: one time per point, without slow fall-backs and without cache hits."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seatrial.cost.kernels import FloatArray

FALLBACK = 1.5  # a kernel that takes so many times as long as another library's is a fall-back, not the hardware
LARGEST_CACHE = 256e6  # bytes; no cache is larger, so what is read faster than the memory allows is a mistake
CACHE_MARGIN = 1.5  # a working set up to so many times the largest one seen in cache may still be in part
WORTH_A_LOOK = 1e-6  # seconds of reading below which it does not matter where the bytes came from


class Points(NamedTuple):
    """A row of `keys` for each point, and its seconds."""

    keys: FloatArray
    seconds: FloatArray
    backends: tuple[str, ...]

    def where(self, kept: NDArray[np.bool_]) -> "Points":
        return Points(self.keys[kept], self.seconds[kept], self.backends)


def one_time_per_point(keys: FloatArray, backend: NDArray[np.str_], seconds: FloatArray) -> Points:
    """The times of the backend that measured most, but the best of the others' where it fell back to something slow.

    A backend that is slow throughout is left out. Where a backend timed a point twice (another library), the quicker counts.
    """
    points, place = np.unique(keys, axis=0, return_inverse=True)
    names = sorted(set(backend.tolist()), key=lambda name: (name != "vllm", name))
    times = np.full((len(names), len(points)), np.inf)
    for row, name in enumerate(names):
        mine = backend == name
        np.minimum.at(times[row], place.reshape(-1)[mine], seconds[mine])
    least = times.min(axis=0)
    shared = np.isfinite(times).sum(axis=0) > 1
    slowness = [_median((row / least)[shared & np.isfinite(row)]) for row in times]
    usable = [row for row in range(len(names)) if slowness[row] <= FALLBACK] or [int(np.argmin(slowness))]
    base = max(usable, key=lambda row: (int(np.isfinite(times[row]).sum()), -row))
    known = np.isfinite(times[base])
    chosen = np.where(times[base] > FALLBACK * least, least, times[base])
    return Points(points[known], chosen[known], tuple(names[row] for row in usable))


def not_slower_than(points: Points, wider: Points) -> Points:
    """A format that is narrower is no slower: where it was, the engine had better take the wider one."""
    known = {tuple(key): time for key, time in zip(wider.keys.tolist(), wider.seconds.tolist())}
    limit = np.array([known.get(tuple(key), np.inf) for key in points.keys.tolist()])
    return Points(points.keys, np.minimum(points.seconds, limit), points.backends)


def possible(seconds: FloatArray, compute: FloatArray, memory: FloatArray, read: FloatArray) -> NDArray[np.bool_]:
    """Points to keep, by what the peaks allow for their arithmetic and memory (seconds) and by the bytes that are read again each time.

    A timing loop that repeats one kernel finds small working sets in the last-level cache, which an engine does not.
    """
    quicker_than_memory = (seconds < memory) & (read <= LARGEST_CACHE)
    reach = CACHE_MARGIN * read[quicker_than_memory].max(initial=0.0)
    cached = (read <= reach) & (memory > WORTH_A_LOOK)
    return np.asarray((seconds >= np.maximum(compute, memory)) & ~cached)


def typical(seconds: FloatArray, compute: FloatArray, memory: FloatArray) -> NDArray[np.bool_]:
    """Points to fit: those that no untuned kernel spoilt. A curve is judged on the others as well, since an engine may meet them."""
    launch = float(np.quantile(seconds, 0.01)) if len(seconds) else 0.0
    return np.asarray(seconds <= 4 * np.maximum(compute, memory) + 5 * launch)


def copies(keys: FloatArray, seconds: FloatArray, other_keys: FloatArray, other_seconds: FloatArray) -> bool:
    """Whether two accelerators' times are the same to the last digit: somebody copied a table."""
    known = {tuple(key) for key in other_keys.tolist()}
    times = {(*key, time) for key, time in zip(other_keys.tolist(), other_seconds.tolist())}
    same = [(*key, time) in times for key, time in zip(keys.tolist(), seconds.tolist()) if tuple(key) in known]
    return len(same) >= 100 and sum(same) > 0.99 * len(same)


def _median(ratios: FloatArray) -> float:
    return float(np.median(ratios)) if len(ratios) else 1.0
