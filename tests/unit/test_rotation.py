import numpy as np
import pytest

from svae.models.rotation import sparse_rotation


@pytest.fixture
def sparse_shifts():
    """60 perturbations of 6 latents with one or two targets each."""
    rng = np.random.default_rng(0)
    shifts = np.zeros((60, 6))
    for row in shifts:
        row[rng.choice(6, rng.integers(1, 3), replace=False)] = rng.choice([-5, 5]) + rng.normal(0, 0.5)
    return shifts


def hidden(shifts, origin, seed=1):
    """Rotated, moved and noisy, as a dense model would see them."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return (shifts + origin) @ rotation + rng.normal(0, 0.1, shifts.shape)


@pytest.mark.parametrize("origin", [0.0, 2.0])
def test_sparse_shifts_are_found_up_to_order_and_sign(sparse_shifts, origin):
    seen = hidden(sparse_shifts, origin)
    rotation, found = sparse_rotation(seen, seed=0)
    rotated = seen @ rotation - found
    correlation = np.abs(np.corrcoef(sparse_shifts.T, rotated.T)[:6, 6:])
    assert (correlation.max(axis=1) > 0.99).all()
    assert sorted(correlation.argmax(axis=1)) == list(range(6))
    assert (np.abs(rotated) > 2.5).sum() == (sparse_shifts != 0).sum()


def test_the_rotation_is_orthogonal_and_repeatable(sparse_shifts):
    seen = hidden(sparse_shifts, 1.0)
    rotation, origin = sparse_rotation(seen, seed=3)
    again, same = sparse_rotation(seen, seed=3)
    assert np.allclose(rotation.T @ rotation, np.eye(6))
    assert (rotation == again).all()
    assert (origin == same).all()


def test_an_anchored_origin_stays(sparse_shifts):
    _, origin = sparse_rotation(hidden(sparse_shifts, 0.0), seed=0, anchored=True)
    assert (origin == 0).all()
