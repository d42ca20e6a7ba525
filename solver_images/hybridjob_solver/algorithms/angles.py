"""Where the angles of QAOA start: known optima of the infinite problem, rescaled to the instance. Never at random.

QAOA's landscape concentrates: angles that are optimal for the Sherrington-Kirkpatrick model are good for any Ising
problem once γ is divided by the typical energy of a spin. From three layers on, one evaluation there is better than a
hundred evaluations of COBYLA from a random start (`tests/solver/test_qaoa.py` holds this).

* J. Basso et al., "The Quantum Approximate Optimization Algorithm at High Depth for MaxCut on Large-Girth Regular
  Graphs and the Sherrington-Kirkpatrick Model", TQC 2022, arXiv:2110.14206: the angles, and how γ scales with degree.
* S. H. Sureshbabu et al., "Parameter Setting in Quantum Approximate Optimization of Weighted Problems", Quantum 8,
  1231 (2024), arXiv:2305.15201: the scaling of γ by the root mean square of the weights.
* L. Zhou et al., "Quantum Approximate Optimization Algorithm: Performance, Mechanism, and Implementation on Near-Term
  Devices", PRX 10, 021067 (2020), arXiv:1812.01041: INTERP, from p layers to p + 1.
"""

import numpy as np

from hybridjob_solver.encode.qubo import Floats, Ising

SK_ANGLES: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.5000,), (0.3927,)),
    ((0.3817, 0.6655), (0.4960, 0.2690)),
    ((0.3297, 0.5688, 0.6406), (0.5500, 0.3675, 0.2109)),
    ((0.2949, 0.5144, 0.5586, 0.6429), (0.5710, 0.4176, 0.3028, 0.1729)),
    ((0.2705, 0.4804, 0.5074, 0.5646, 0.6397), (0.5899, 0.4492, 0.3559, 0.2643, 0.1486)),
    ((0.2528, 0.4531, 0.4750, 0.5146, 0.5650, 0.6392), (0.6004, 0.4670, 0.3880, 0.3176, 0.2325, 0.1291)),
    (
        (0.2383, 0.4327, 0.4516, 0.4830, 0.5147, 0.5686, 0.6393),
        (0.6085, 0.4809, 0.4090, 0.3534, 0.2857, 0.2080, 0.1146),
    ),
    (
        (0.2268, 0.4162, 0.4333, 0.4608, 0.4818, 0.5179, 0.5717, 0.6393),
        (0.6151, 0.4906, 0.4244, 0.3780, 0.3224, 0.2606, 0.1884, 0.1030),
    ),
)
"""(γ, β) of the SK model for 1, 2, … layers: recomputed by `benchmarks/sk_angles.py` from the iteration of Basso et
al., section 4."""


def starting_angles(ising: Ising, layers: int) -> tuple[Floats, Floats]:
    """Good (γ, β) for `ising`, shapes (layers,), in the conventions of `DiagonalQaoa`.

    A problem whose energy is constant gets γ = 0.
    """
    gammas, betas = _sk_angles(layers)
    return _gamma_scale(ising) * gammas, betas


def _sk_angles(layers: int) -> tuple[Floats, Floats]:
    known = SK_ANGLES[min(layers, len(SK_ANGLES)) - 1]
    gammas, betas = np.array(known[0]), np.array(known[1])
    while len(gammas) < layers:
        gammas, betas = interpolate(gammas), interpolate(betas)
    return gammas, betas


def interpolate(angles: Floats) -> Floats:
    """INTERP: angles of p + 1 layers, read off the straight lines between those of p."""
    p = len(angles)
    weights = np.arange(p + 1) / p
    padded = np.pad(angles, 1)
    return np.asarray(weights * padded[:-1] + (1 - weights) * padded[1:])


def _gamma_scale(ising: Ising) -> float:
    """What takes γ from the SK model to `ising`: arctan(1/√(D−1)) / rms weight, D being the mean degree.

    A field is a coupling to one more spin that never flips, so that fields count as couplings of n + 1 spins.
    """
    couplings, fields = ising.couplings[ising.couplings != 0], ising.fields[ising.fields != 0]
    weights = np.concatenate([couplings, fields])
    largest = float(np.abs(weights).max(initial=0.0))
    if largest < np.finfo(np.float64).tiny:  # Below it 1/weight overflows.
        return 0.0
    rms = largest * float(np.sqrt(np.mean(np.square(weights / largest))))
    spins = ising.size + (len(fields) > 0)
    # A forest has a mean degree below 2; at D = 1 the angle is the 90° that solves a single edge.
    degree = max(1.0, 2 * len(weights) / spins)
    return float(np.arctan2(1.0, np.sqrt(degree - 1))) / rms
