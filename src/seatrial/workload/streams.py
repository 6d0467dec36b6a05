"""Where chance comes from: one stream of uniform numbers per purpose, readable at any place."""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def uniforms(seed: int, purpose: str, start: int, count: int) -> Floats:
    """Numbers `start` up to `start + count` of the stream that `seed` and `purpose` name, inside (0, 1).

    One draw of PCG64 each, so they are the same bits on any machine, however they are cut into pieces, and no stream moves another.
    """
    bits = np.random.PCG64(np.random.SeedSequence([seed, crc32(purpose.encode())]))
    bits.advance(start)
    # never 0: its normal score and its logarithm are infinite
    return np.maximum(np.random.Generator(bits).random(count), 2.0**-54)


def normal_scores(u: Floats) -> Floats:
    """The standard normal quantile of each number: algorithm AS 241 (Wichura 1988), good to 1e-15.

    Here rather than from SciPy, whose import costs more than a whole small run.
    """
    centred = u - 0.5
    middle = np.abs(centred) <= 0.425
    r = 0.180625 - centred * centred
    near = centred * _ratio(np.where(middle, r, 0.0), _MIDDLE)
    tail = np.sqrt(-np.log(np.minimum(u, 1 - u)))
    far = np.where(tail <= 5, _ratio(tail - 1.6, _TAIL), _ratio(tail - 5, _FAR_TAIL))
    return np.where(middle, near, np.copysign(far, centred))


def _ratio(x: Floats, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Floats:
    above, below = coefficients
    return np.polyval(above, x) / np.polyval(below, x)


# Numerator and denominator of each of Wichura's rational approximations, highest power first.
# fmt: off
_MIDDLE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)
_TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)
_FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266093947388078430e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)
# fmt: on
