"""The models of the benchmark, with the conventions of scvi-tools.

They share everything but the prior (:mod:`svae.models.priors`), so each class is little more than its name.

>>> SVAEPlus.setup_anndata(adata, perturbation_key="perturbation")   # doctest: +SKIP
>>> model = SVAEPlus(adata, penalty=100)                              # doctest: +SKIP
>>> model.train()                                                     # doctest: +SKIP
>>> model.get_targets()                                               # doctest: +SKIP
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import CategoricalObsField, LayerField
from scvi.model.base import BaseModelClass, UnsupervisedTrainingMixin
from torch import Tensor

from svae.errors import BenchmarkError, unknown
from svae.models import transfer
from svae.models.module import PerturbationVAE
from svae.models.priors import DenseShift, MaskedShift, StandardNormal
from svae.models.together import refit_together, train_together
from svae.targets import targets_from_shifts
from svae.training import fleet
from svae.training.cells import Cells
from svae.training.plan import TrainingPlan
from svae.training.presets import named_preset, plan_with
from svae.words import CONTROL


class PerturbationModel(UnsupervisedTrainingMixin, BaseModelClass):
    """Base of the five models; see :class:`SVAEPlus` for what users can do with any of them.

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`; raw counts of the perturbations to train on.
    n_latent
        Number of latents p.
    beta
        Weight of the KL divergence.
    control
        Label of unperturbed cells, whose shift is held at 0; ignored where it does not occur.
    preset
        ``tuned`` or ``original``: the training plan, and the choices of architecture that belong to it.
    n_hidden, n_layers
        Width and depth of encoder and decoder.
    dropout_rate, initial_logit
        Override what the preset says.
    """

    module: PerturbationVAE
    _prior: ClassVar[type[StandardNormal]]
    _default_objective: ClassVar[Literal["mean", "sum"]] = "mean"

    def __init__(
        self,
        adata: AnnData | None = None,
        n_latent: int = 15,
        beta: float = 1.0,
        control: str = CONTROL,
        preset: str = "tuned",
        n_hidden: int = 128,
        n_layers: int = 2,
        dropout_rate: float | None = None,
        initial_logit: float | None = None,
        **prior_options: float,
    ):
        super().__init__(adata)
        self.preset_ = preset
        choices = named_preset(preset)
        self.perturbations_ = [str(name) for name in self._labels(REGISTRY_KEYS.LABELS_KEY)]
        self.trained_ = list(self.perturbations_)
        self.control_ = control
        self.adapted_: dict[str, list[float]] = {}
        if issubclass(self._prior, MaskedShift):
            prior_options["initial_logit"] = choices.initial_logit if initial_logit is None else initial_logit
        self.module = PerturbationVAE(
            n_genes=self.summary_stats.n_vars,
            prior=self._prior(
                len(self.perturbations_),
                n_latent,
                self.perturbations_.index(control) if control in self.perturbations_ else None,
                **prior_options,
            ),
            n_batch=self.summary_stats.n_batch,
            n_hidden=n_hidden,
            n_layers=n_layers,
            dropout_rate=choices.dropout_rate if dropout_rate is None else dropout_rate,
            beta=beta,
        )
        self._model_summary_string = f"{type(self).__name__} with {n_latent} latents, preset {preset}"
        self.init_params_ = self._get_init_params(locals())

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        perturbation_key: str,
        batch_key: str | None = None,
        layer: str | None = None,
        **kwargs,
    ) -> None:
        """Register `adata`: raw counts, and which column holds the perturbation of each cell.

        Parameters
        ----------
        perturbation_key
            Column of ``obs`` with one perturbation label per cell.
        batch_key
            Column of ``obs`` with the batch, given to the decoder; ``None`` for no correction.
        layer
            Layer that holds the counts; ``None`` for ``X``.
        """
        for key in filter(None, (perturbation_key, batch_key)):
            if key not in adata.obs:
                raise unknown("column", key, adata.obs.columns, "adata.obs")
        setup_method_args = cls._get_setup_method_args(**locals())
        fields = [
            LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=True),
            CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, perturbation_key),
            CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
        ]
        manager = AnnDataManager(fields=fields, setup_method_args=setup_method_args)
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    def training_plan(self, **changes: Any) -> TrainingPlan:
        """Return the plan of the model's preset, with some fields changed."""
        return plan_with(named_preset(self.preset_).plan, **({"objective": self._objective} | changes))

    @property
    def _objective(self) -> Literal["mean", "sum"]:
        # The released code multiplies the loss of sVAE+ alone by the number of cells.
        return self._default_objective if self.preset_ == "original" else "mean"

    def train(
        self,
        max_epochs: int | None = None,
        train_size: float = 0.9,
        external_indexing: Sequence[np.ndarray] | None = None,
        accelerator: str = "auto",
        trainer: Literal["fleet", "lightning"] = "fleet",
        seed: int | None = None,
        progress: fleet.Progress = fleet.say,
        **changes: Any,
    ) -> None:
        """Train the model on the perturbations of its data (stage 1).

        Parameters
        ----------
        max_epochs
            Epochs; the preset's number where ``None``.
        train_size
            Share of the cells to train on; the others validate.
        external_indexing
            Indices of the training and the validation cells, instead of a random split.
        accelerator
            ``cpu``, ``cuda`` or ``auto``.
        trainer
            ``fleet`` for our loop (a fleet of one), ``lightning`` for the one of scvi-tools.
        seed
            Seed of the split, the noise and the order of the data; drawn from torch's global
            generator where ``None``, so that ``scvi.settings.seed`` governs it.
        **changes
            Fields of :class:`svae.training.plan.TrainingPlan` to change.
        """
        if max_epochs is not None:
            changes["max_epochs"] = max_epochs
        plan = self.training_plan(**changes)
        seed = int(torch.randint(2**31, ())) if seed is None else seed
        if external_indexing is None:
            order = np.random.default_rng(seed).permutation(self.adata.n_obs)
            external_indexing = np.split(order, [round(train_size * len(order))])
        training, validation = (np.sort(np.asarray(part)) for part in external_indexing[:2])
        if trainer == "lightning":
            self._train_lightning(training, validation, accelerator, plan)
        else:
            train_together([self], [seed], training, validation, accelerator, [plan], progress=progress)

    def _train_lightning(self, training, validation, accelerator: str, plan: TrainingPlan) -> None:
        plan = plan.per_cell(len(training))
        super().train(
            max_epochs=plan.max_epochs,
            accelerator=accelerator,
            batch_size=plan.cells_per_step(len(training)),
            early_stopping=plan.patience is not None and len(validation) > 0,
            early_stopping_patience=plan.patience or 45,
            check_val_every_n_epoch=1 if len(validation) else None,
            datasplitter_kwargs={"external_indexing": [training, validation]},
            plan_kwargs={
                "lr": plan.learning_rate,
                "eps": plan.eps,
                "weight_decay": plan.weight_decay,
                "n_epochs_kl_warmup": plan.warmup_epochs,
            },
        )
        self._remember_training(training, validation)

    def _remember_training(self, training, validation) -> None:
        self.train_indices, self.validation_indices = training, validation
        seen = set(self._names(self.adata)[training])
        self.trained_ = [name for name in self.perturbations_ if name in seen]
        self.adapted_ = {}
        self.module.eval()
        self.is_trained_ = True

    def refit(
        self, accelerator: str = "auto", seed: int = 0, progress: fleet.Progress = fleet.say, **changes: Any
    ) -> None:
        """Fix the masks at their more probable values and train on (stage 2, before transfer).

        Models without masks train on as they are, so that all get the same number of steps.
        """
        self._check_if_trained(warn=False)
        plan = self.training_plan(**changes)
        refit_together([self], [seed], accelerator, [plan], progress=progress)

    @torch.no_grad()
    def adapt(self, adata: AnnData, indices: Sequence[int] | np.ndarray | None = None) -> None:
        """Fit the shifts of held-out perturbations to their cells, all else frozen (stage 3).

        Perturbations the model was trained on keep their shifts. VAE and β-VAE have no shifts, so
        there is nothing to fit and nothing changes.
        """
        self._check_if_trained(warn=False)
        if not isinstance(self.module.prior, DenseShift):
            return
        cells, names = self._cells(adata, indices)
        held_out = sorted(set(names) - set(self.trained_))
        chosen = np.flatnonzero(np.isin(names, held_out))
        groups = torch.as_tensor(np.searchsorted(held_out, names[chosen]), device=self.module.device)
        shifts = transfer.adapted_shifts(self.module, cells[torch.as_tensor(chosen)], groups, len(held_out))
        self.adapted_ |= dict(zip(held_out, shifts.tolist(), strict=True))

    @torch.no_grad()
    def get_latent_representation(
        self, adata: AnnData | None = None, indices: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """Posterior means of the latents, cells × latents."""
        self._check_if_trained(warn=False)
        return transfer.posterior_means(self.module, self._cells(adata, indices)[0]).cpu().numpy()

    @torch.no_grad()
    def get_elbo(
        self, adata: AnnData | None = None, indices: Sequence[int] | np.ndarray | None = None, seed: int = 0
    ) -> float:
        """Mean evidence lower bound of the cells in nats; higher is better."""
        self._check_if_trained(warn=False)
        cells, names = self._cells(adata, indices)
        generator = torch.Generator(cells.x.device).manual_seed(seed)
        noise = {
            "z": torch.randn(len(cells), self.n_latent, generator=generator, device=cells.x.device),
        }
        reconstruction, kl = self.module.elbo_terms(cells.x, cells.batch, self._prior_means(names), noise)
        return -float((reconstruction + kl).mean())

    def get_marginal_ll(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        n_mc_samples: int = 1000,
        seed: int = 0,
        return_mean: bool = True,
    ) -> float | pd.Series:
        """Importance-weighted log p(x | perturbation) in nats; higher is better.

        Perturbations seen in training have the shift they were trained with, adapted ones that of
        :meth:`adapt`, and any other none at all (zero-shot).

        Returns
        -------
        float | pandas.Series
            Mean over cells, or one value per cell if not `return_mean`.
        """
        self._check_if_trained(warn=False)
        cells, names = self._cells(adata, indices)
        means = {"all": self._prior_means(names)}
        estimates, _ = transfer.marginal_log_likelihood(self.module, cells, means, n_mc_samples, seed)
        values = estimates["all"].log_likelihood.cpu().numpy()
        obs_names = (self.adata if adata is None else adata).obs_names
        index = obs_names if indices is None else obs_names[np.asarray(indices)]
        return float(values.mean()) if return_mean else pd.Series(values, index, name="log_likelihood")

    @torch.no_grad()
    def get_normalized_expression(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        library_size: float = 1.0,
    ) -> pd.DataFrame:
        """Expected expression at the posterior means, cells × genes, summing to `library_size`."""
        self._check_if_trained(warn=False)
        cells, _ = self._cells(adata, indices)
        logit = self.module.decode(self.module.encode(cells.x)[0], cells.batch)
        values = (torch.softmax(logit, -1) * library_size).cpu().numpy()
        obs_names = (self.adata if adata is None else adata).obs_names
        index = obs_names if indices is None else obs_names[np.asarray(indices)]
        return pd.DataFrame(values, index, self.adata.var_names)

    @torch.no_grad()
    def get_shifts(self) -> pd.DataFrame:
        """Mean shift of each perturbation, trained and adapted ones, perturbation × latent.

        A model without shifts (VAE, β-VAE) answers with what its latents show: the mean of each
        perturbation's posterior means, less that of all cells.
        """
        self._check_if_trained(warn=False)
        if isinstance(self.module.prior, DenseShift):
            rows = self.module.prior.shifts().cpu().numpy()
            table = self._per_perturbation(rows).loc[self.trained_]
            adapted = pd.DataFrame.from_dict(self.adapted_, "index", np.float32, columns=table.columns)
            return pd.concat([table, adapted]).rename_axis("perturbation") if self.adapted_ else table
        latents = pd.DataFrame(self.get_latent_representation()).set_axis(self._latent_names(), axis=1)
        means = (latents - latents.mean()).groupby(self._names(self.adata)).mean()
        return means.rename_axis("perturbation").loc[self.trained_]

    @torch.no_grad()
    def get_targets(self) -> pd.DataFrame:
        """Probability that a perturbation shifts a latent, perturbation × latent, in [0, 1].

        A model without masks (VAE, β-VAE, iVAE) answers as the benchmark does, with
        :func:`svae.targets.targets_from_shifts` of its shifts and latents.
        """
        self._check_if_trained(warn=False)
        if not isinstance(self.module.prior, MaskedShift):
            labels = self._names(self.adata)
            cells = np.flatnonzero(np.isin(labels, self.trained_))
            latents = self.get_latent_representation(indices=cells)
            return targets_from_shifts(
                self.get_shifts().loc[self.trained_], latents, labels[cells], self.control_
            )
        return self._per_perturbation(self.module.prior.targets().cpu().numpy()).loc[self.trained_]

    @property
    def n_latent(self) -> int:
        """Number of latents."""
        return self.module.prior.n_latent

    def _latent_names(self) -> list[str]:
        return [f"z{j + 1}" for j in range(self.n_latent)]

    def _per_perturbation(self, rows: np.ndarray) -> pd.DataFrame:
        index = pd.Index(self.perturbations_, name="perturbation")
        return pd.DataFrame(rows, index, self._latent_names())

    def _labels(self, key: str) -> np.ndarray:
        return self.adata_manager.get_state_registry(key).categorical_mapping

    def _names(self, adata: AnnData) -> np.ndarray:
        """Perturbation of each cell, by name."""
        return self._column(adata, "perturbation_key").to_numpy()

    def _column(self, adata: AnnData, argument: str) -> pd.Series:
        """Column of ``obs`` that an argument of :meth:`setup_anndata` named."""
        key = self.registry_["setup_args"][argument]
        if key not in adata.obs:
            raise unknown("column", key, adata.obs.columns, "adata.obs")
        return adata.obs[key].astype(str)

    def _cells(
        self, adata: AnnData | None, indices: Sequence[int] | np.ndarray | None = None
    ) -> tuple[Cells, np.ndarray]:
        """Cells as tensors on the model's device, and the names of their perturbations.

        `adata` may hold other perturbations than the model's, so the manager of scvi-tools, which
        would refuse them, is not asked; it is read only, and needs no registration.
        """
        adata = self.adata if adata is None else adata
        if not adata.var_names.equals(self.adata.var_names):
            raise BenchmarkError("adata: var_names are not the genes that the model was built on")
        rows = np.arange(adata.n_obs) if indices is None else np.asarray(indices)
        layer = self.registry_["setup_args"]["layer"]
        x = (adata.X if layer is None else adata.layers[layer])[rows]
        batch = np.zeros(len(rows), dtype=np.int64)
        if self.registry_["setup_args"]["batch_key"] is not None:
            names = self._column(adata, "batch_key").to_numpy()[rows]
            batches = pd.Index([str(name) for name in self._labels(REGISTRY_KEYS.BATCH_KEY)])
            batch = batches.get_indexer(names)
            if (batch < 0).any():
                raise unknown("batch", names[batch < 0][0], batches, "adata.obs")
        perturbations = self._names(adata)[rows]
        codes = pd.Index(self.perturbations_).get_indexer(perturbations)
        dense = x.toarray() if sparse.issparse(x) else np.asarray(x)
        cells = Cells(
            torch.as_tensor(dense, dtype=torch.float32),
            torch.as_tensor(codes, dtype=torch.int64),
            torch.as_tensor(batch, dtype=torch.int64),
        )
        return cells.to(self.module.device), perturbations

    def _prior_means(self, names: np.ndarray) -> Tensor:
        """Mean of p(z | perturbation) of each cell; 0 for a perturbation neither trained nor adapted."""
        shape = (len(names), self.n_latent)
        if not isinstance(self.module.prior, DenseShift):
            return torch.zeros(shape, device=self.module.device)
        rows = self.get_shifts().reindex(names).fillna(0.0).to_numpy(dtype=np.float32)
        return torch.as_tensor(rows, device=self.module.device)
