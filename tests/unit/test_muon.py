"""Our Muon is that of torch, for many matrices at once."""

import pytest
import torch

from svae.training.muon import FleetMuon, orthogonalised

SHAPES = [(16, 16), (24, 8), (8, 24)]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_end_near_one(shape, generator):
    matrices = torch.randn(5, *shape, generator=generator)
    values = torch.linalg.svdvals(orthogonalised(1e-4 * matrices))
    assert values.max() < 1.3
    assert values.median() > 0.6


@pytest.mark.parametrize("shape", SHAPES)
def test_the_factors_are_those_of_the_gradient(shape, generator):
    """Of U S Vᵀ the step keeps U and V: in their basis it is diagonal."""
    [matrix] = torch.randn(1, *shape, generator=generator)
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ orthogonalised(matrix[None])[0] @ vt.T
    assert torch.allclose(inner, torch.diag(inner.diag()), atol=1e-4)


def test_no_gradient_no_step():
    assert not orthogonalised(torch.zeros(2, 4, 3)).any()


@pytest.mark.parametrize("weight_decay", [0.0, 2.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_torch(shape, weight_decay, generator):
    start, gradients = (torch.randn(n, *shape, generator=generator) for n in (1, 6))
    ours, theirs = start.clone(), torch.nn.Parameter(start[0].clone())
    fleet = FleetMuon([ours], learning_rate=0.02, momentum=0.95, weight_decay=weight_decay)
    reference = torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=weight_decay)
    for gradient in gradients:
        fleet.step([gradient[None]], torch.ones(1))
        theirs.grad = gradient.clone()
        reference.step()
    difference = torch.linalg.matrix_norm(ours[0] - theirs.detach())
    assert difference < 0.03 * torch.linalg.matrix_norm(ours[0] - start[0])  # torch rounds to bfloat16


def test_a_stopped_module_stands_still(generator):
    matrices, gradients = torch.randn(2, 3, 8, 8, generator=generator)
    before = matrices.clone()
    FleetMuon([matrices], 0.02, 0.95).step([gradients], torch.tensor([1.0, 0.0, 0.5]))
    moved = (matrices != before).flatten(1).any(1)
    assert moved.tolist() == [True, False, True]
