"""The conditional VAE, whose networks are told the parts of a perturbation."""

import numpy as np
import pytest
import torch
from test_additive import PARTS, pairs

import svae
from svae.expression import profile, pseudobulk
from svae.models.coded import CodedVAE
from svae.models.folded import observe
from svae.models.generation import draw_counts
from svae.models.priors import StandardNormal
from svae.training.cells import Cells


def without(cells, *names):
    """Cells of all perturbations but these, and the cells of these."""
    chosen = cells.obs["perturbation"].isin(names).to_numpy()
    seen = cells[~chosen].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    return seen, cells[chosen].copy()


@pytest.fixture(scope="module")
def trained():
    """A model of A, B and the control, and the cells of C and A+B."""
    seen, held_out = without(pairs(), "A+B", "C")
    svae.ConditionalVAE.setup_anndata(seen, "perturbation")
    torch.manual_seed(0)
    model = svae.ConditionalVAE(seen, n_latent=2, n_hidden=32)
    model.train(max_epochs=100, batch_size=24, accelerator="cpu", seed=0)
    return model, held_out


def real_profiles():
    cells = pairs()
    return profile(pseudobulk(cells, cells.obs["perturbation"].astype(str)))


def error(predicted, name):
    return np.abs(predicted - real_profiles().loc[name]).mean()


@pytest.mark.parametrize("n_batch", [0, 2])
def test_the_decoder_that_posteriors_are_computed_from_is_the_one_that_is_told_the_code(n_batch):
    torch.manual_seed(0)
    module = CodedVAE(5, StandardNormal(4, 2, 1, PARTS), n_batch=n_batch, n_hidden=8)
    module.known(torch.tensor([0, 2]))
    codes = module.known(torch.tensor([0, 1, 2, 3, 2, 0]))
    assert codes.tolist() == [[1, 0], [0, 0], [1, 1], [0, 1], [1, 1], [1, 0]]
    batch = torch.tensor([0, 1, 0, 1, 1, 0]) * (n_batch > 0)
    module.decode(torch.randn(6, 2), batch, codes)  # moves the running means of BatchNorm
    module.eval()
    cells, z = Cells(torch.poisson(torch.full((6, 5), 3.0)), batch, batch), torch.randn(6, 1, 2)
    with torch.no_grad():
        expected = module.log_probability(cells.x, module.decode(z[:, 0], batch, codes))
        untold = module.log_probability(cells.x, module.decode(z[:, 0], batch, torch.zeros_like(codes)))
    found = observe(module, cells, codes).log_likelihood(z)[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    assert (found - untold).abs().max() > 0.01


def test_latents_do_not_have_the_effect_and_the_encoder_is_told_of_it(trained):
    model, _ = trained
    cells, names = model.read_cells()
    told = torch.as_tensor(model.get_latent_representation())
    untold = model.module.encode(cells.x, known=torch.zeros(len(names), 2))[0]
    assert not torch.allclose(told, untold, atol=1e-2)
    assert model.module.prior_mean(model.known_of(names)).abs().max() == 0


def test_codes_that_add_up_predict_an_unseen_combination(trained):
    """Nearer to its cells than the control is, and than either part alone."""
    model, _ = trained
    model.forget_adaptation()
    predicted = model.get_profiles(["A+B", "control"], n_mc_samples=300)
    others = [error(real_profiles().loc[name], "A+B") for name in ("control", "A", "B")]
    assert error(predicted.loc["A+B"], "A+B") < 0.8 * min(others)
    assert error(predicted.loc["control"], "control") < 0.3 * others[0]


def test_cells_that_it_draws_have_the_profile_of_their_code(trained):
    model, _ = trained
    model.forget_adaptation()
    counts = draw_counts(model, ["A+B"], 5000, seed=0).toarray()
    expected = model.get_profiles(["A+B"], 2000).loc["A+B"]
    np.testing.assert_allclose(profile(counts.sum(axis=0, keepdims=True))[0], expected, atol=0.06)


def test_a_code_is_fitted_to_cells_of_an_unseen_perturbation_with_all_else_frozen(trained):
    model, held_out = trained
    of_c = held_out[held_out.obs["perturbation"] == "C"]
    model.forget_adaptation()
    assert model.known_of(np.array(["C"])).tolist() == [[0, 0]]
    before, zero_shot = model.get_marginal_ll(of_c, n_mc_samples=50), model.get_profiles(["C"], 300)
    weights = {key: value.clone() for key, value in model.module.state_dict().items()}
    model.adapt(of_c)
    assert model.get_marginal_ll(of_c, n_mc_samples=50) > before + 0.1
    assert error(model.get_profiles(["C"], 300).loc["C"], "C") < error(zero_shot.loc["C"], "C")
    assert all(torch.equal(value, weights[key]) for key, value in model.module.state_dict().items())
    again = dict(model.adapted_)
    model.forget_adaptation()
    model.adapt(of_c)
    assert model.adapted_ == again
