"""Recomputes the start angles of `hybridjob_solver.algorithms.angles`: QAOA's optima for the SK model.

In the limit of infinitely many spins the energy of p layers is a finite sum over 2^(2p+1) bit strings (J. Basso et al.,
TQC 2022, arXiv:2110.14206, section 4); BFGS maximises it, and the optimum of p layers, interpolated, starts p + 1.

    python benchmarks/sk_angles.py --layers 5      # seconds; 8 layers take two minutes
"""

import argparse

import numpy as np
from scipy.optimize import minimize

from hybridjob_solver.algorithms.angles import SK_ANGLES, interpolate


def paths(p: int) -> np.ndarray:
    """Every assignment of ±1 to the 2p + 1 times 1, …, p, 0, −p, …, −1: shape (2^(2p+1), 2p + 1)."""
    times = 2 * p + 1
    return 1.0 - 2.0 * ((np.arange(1 << times)[:, None] >> np.arange(times)) & 1)


def energy(gammas: np.ndarray, betas: np.ndarray, spins: np.ndarray) -> float:
    """ν_p(γ, β), the energy per spin that QAOA reaches; the ground state has 0.7632 (Parisi)."""
    p = len(gammas)
    phases = np.concatenate([gammas, [0.0], -gammas[::-1]])
    weights = np.full(len(spins), 0.5, dtype=complex)
    for k, beta in enumerate(np.concatenate([betas, -betas[::-1]])):
        weights *= np.where(spins[:, k] == spins[:, k + 1], np.cos(beta), 1j * np.sin(beta))
    correlations = np.ones((2 * p + 1, 2 * p + 1), dtype=complex)
    for _ in range(p):
        weighted = spins * phases
        exponent = np.einsum("aj,jk,ak->a", weighted, correlations, weighted, optimize=True)
        correlations = spins.T @ (spins * (weights * np.exp(-exponent / 2))[:, None])
    return float((0.5j * phases @ correlations[p] ** 2).real)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=5, choices=range(1, len(SK_ANGLES) + 1))
    gammas, betas = np.array([0.4]), np.array([0.4])
    for p in range(1, parser.parse_args().layers + 1):
        spins = paths(p)
        found = minimize(
            lambda x, p=p, spins=spins: -energy(x[:p], x[p:], spins),
            np.concatenate([gammas, betas]),
            method="BFGS",
            options={"gtol": 2e-5},
        )
        gammas, betas = found.x[:p], found.x[p:]
        stored = np.concatenate(SK_ANGLES[p - 1])
        print(f"p={p}  energy {-found.fun:.4f}  largest difference from the table {np.abs(found.x - stored).max():.1e}")
        print(f"     γ {np.round(gammas, 4).tolist()}\n     β {np.round(betas, 4).tolist()}")
        gammas, betas = interpolate(gammas), interpolate(betas)


if __name__ == "__main__":
    main()
