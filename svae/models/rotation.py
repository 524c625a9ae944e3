"""Find the axes along which shifts are sparse.

A model with dense shifts knows its latents only up to a rotation: Normal(m_k, I) turned by any
orthogonal matrix is Normal(m_k turned, I). Which rotation is the right one, the shifts tell: in the
right one most of them are zero. It is found in no time, where training by gradient, which has to turn
the latents step by step, gets stuck in whatever basis the random start suggests.
"""

import numpy as np

STARTS = 20
_MAX_ROUNDS = 500
_TOLERANCE = 1e-6  # relative improvement of the loss below which a start has converged


def sparse_rotation(shifts: np.ndarray, seed: int, anchored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Rotation Q and origin c for which the rows of ``shifts @ Q − c`` are sparse.

    Minimises the Huber loss of the rotated shifts (Huber 1964): quadratic for small ones, which are
    noise, and absolute for large ones, so that few large entries are preferred to many middling ones.
    It is half quadratic, min over T of ½ ‖M Q − c − T‖² + τ ‖T‖₁, and each of T (soft threshold), c
    (mean) and Q (orthogonal Procrustes problem, Schönemann 1966) is solved for in turn. There are
    local minima, hence random starts. τ is half the root mean square of the shifts.

    Parameters
    ----------
    shifts
        Perturbations × latents, without the control.
    seed
        Of the random starts.
    anchored
        Whether the origin is known to be 0, as where control cells define it.

    Returns
    -------
    Q, latents × latents and orthogonal; c, one number per latent.
    """
    rng, p = np.random.default_rng(seed), shifts.shape[1]
    starts = [np.linalg.qr(rng.normal(size=(p, p)))[0] for _ in range(STARTS)]
    _, rotation, origin = min((_descend(shifts, start, anchored) for start in starts), key=_loss)
    return rotation, origin


def _descend(
    shifts: np.ndarray, rotation: np.ndarray, anchored: bool
) -> tuple[float, np.ndarray, np.ndarray]:
    """Go down to the nearest local minimum; loss, rotation and origin."""
    origin = np.zeros(shifts.shape[1]) if anchored else shifts.mean(axis=0) @ rotation
    threshold = 0.5 * np.sqrt(((shifts @ rotation - origin) ** 2).mean())
    loss = np.inf
    for _ in range(_MAX_ROUNDS):
        rotated = shifts @ rotation - origin
        kept = np.sign(rotated) * np.maximum(np.abs(rotated) - threshold, 0)
        previous, loss = loss, 0.5 * ((rotated - kept) ** 2).sum() + threshold * np.abs(kept).sum()
        if previous - loss <= _TOLERANCE * loss:
            break
        if not anchored:
            origin = (shifts @ rotation - kept).mean(axis=0)
        left, _, right = np.linalg.svd(shifts.T @ (kept + origin))
        rotation = left @ right
    return loss, rotation, origin


def _loss(minimum: tuple[float, np.ndarray, np.ndarray]) -> float:
    return minimum[0]
