"""Networks that are kept beside their fits, and what they answer when they are asked again."""

import numpy as np
import pytest
import torch
from test_additive import pairs

from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.expression import TARGET_SUM, log_normalised
from svae.methods import latent_additive
from svae.methods.autoencoders.fit import fit_autoencoder
from svae.methods.discrepancy_vae import fit_discrepancy_vae
from svae.methods.kept import WEIGHTS, keep, load


@pytest.fixture(scope="module")
def screen():
    cells = pairs()
    return cells, split(cells.obs["perturbation"], SplitPlan(kind="named", held_out=["A+B"]), seed=1)


def setting(**options):
    return Setting("default", 0, {"n_latent": 2, **options})


@pytest.mark.parametrize("method", ["dca", "scgen"])
def test_an_autoencoder_encodes_as_before(method, screen, tmp_path):
    cells, _ = screen
    fit = fit_autoencoder(method, *screen, setting(max_epochs=3), "cpu", model_folder=tmp_path)
    kept = load(tmp_path)
    assert (kept.method, kept.genes, kept.parts) == (method, list(cells.var_names), [])
    np.testing.assert_allclose(kept.network.latents(cells), fit.latents, atol=1e-5)


def test_a_discrepancy_vae_encodes_as_before(screen, tmp_path):
    cells, _ = screen
    fit = fit_discrepancy_vae(*screen, setting(max_epochs=2), model_folder=tmp_path)
    kept = load(tmp_path)
    with torch.no_grad():
        latents, _ = kept.network.encode(torch.as_tensor(log_normalised(cells, TARGET_SUM)))
    np.testing.assert_allclose(latents, fit.latents, atol=1e-5)
    assert set(kept.parts) == {"A", "B", "C"}


def test_a_latent_additive_model_is_kept_with_its_weights(screen, tmp_path, monkeypatch):
    networks = []
    monkeypatch.setattr(
        latent_additive, "keep", lambda network, *args: networks.append(network) or keep(network, *args)
    )
    latent_additive.fit_latent_additive(*screen, setting(max_epochs=2), model_folder=tmp_path)
    kept, given = load(tmp_path), torch.eye(3)
    assert set(kept.parts) == {"A", "B", "C"}
    expression = torch.as_tensor(log_normalised(screen[0], TARGET_SUM))[:3]
    torch.testing.assert_close(kept.network(expression, given), networks[0](expression, given))


def test_what_is_not_there_or_of_another_program_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="was the fit made with `keep_models: false`"):
        load(tmp_path)
    for other in ({"model_state_dict": {}}, {"var_names": np.array(["a"], dtype=object)}, [1]):
        torch.save(other, tmp_path / WEIGHTS)
        with pytest.raises(BenchmarkError, match="another program wrote it"):
            load(tmp_path)
