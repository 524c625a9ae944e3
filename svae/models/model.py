"""What all model classes share: the conventions of scvi-tools around one module.

They share everything but the prior (:mod:`svae.models.priors`), so each class in ``svae/models/family`` is
little more than its name.

>>> SVAEPlus.setup_anndata(adata, perturbation_key="perturbation")   # doctest: +SKIP
>>> model = SVAEPlus(adata, penalty=100)                              # doctest: +SKIP
>>> model.train()                                                     # doctest: +SKIP
>>> model.get_targets()                                               # doctest: +SKIP
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from anndata import AnnData
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import CategoricalObsField, LayerField
from scvi.model.base import BaseModelClass, UnsupervisedTrainingMixin
from torch import Tensor

from svae.errors import unknown
from svae.models import transfer
from svae.models.answers import AnswersMixin
from svae.models.differential import DifferentialMixin
from svae.models.given import (
    cells_to_train_on,
    checked_arguments,
    code_of_control,
    given_or_drawn,
    refuse_idle,
    refuse_unknown,
)
from svae.models.lightning import train_with_lightning
from svae.models.module import PerturbationVAE
from svae.models.priors import DenseShift, MaskedShift, StandardNormal
from svae.models.screen import Indices, check_screen, refuse_other_genes
from svae.models.together import device_of, refit_together, refuse_divergence, train_together
from svae.training.cells import Cells
from svae.training.plan import OF_FIRST_STAGE, OF_SECOND_STAGE, TrainingPlan
from svae.training.presets import DEFAULT_PRESET, PresetName, named_preset, plan_with
from svae.values import Count, NonNegative, Number, ProperFraction
from svae.words import CONTROL

TRAINERS = ("fleet", "lightning")


class PerturbationModel(AnswersMixin, DifferentialMixin, UnsupervisedTrainingMixin, BaseModelClass):
    """Base of the model classes: everything that users can do with any of them.

    Parameters
    ----------
    adata
        Registered with :meth:`setup_anndata`; raw counts of the perturbations to train on.
    n_latent
        Number of latents p.
    beta
        Weight of the KL divergence.
    control
        Label of unperturbed cells, whose shift is held at 0; by default ``control``, where it occurs.
    preset
        ``tuned`` or ``original``: the training plan, and the choices of architecture that belong to it.
    n_hidden
        Width of encoder and decoder.
    n_layers, dropout_rate, slope, batch_norm
        Depth of encoder and decoder, dropout of the encoder, slope of the LeakyReLU below zero (0 is the
        ReLU), and whether both have BatchNorm, instead of the preset's choices.
    initial_logit
        Where the mask logits start, instead of the preset's choice.
    **prior_options
        Parameters of the prior beyond its shape, such as its penalty.

    Raises
    ------
    BenchmarkError
        If an argument is unknown or out of range, or there is no such control.

    Attributes
    ----------
    module_class
        Encoder, decoder and loss; the same for nearly all classes.
    prior_class
        The prior of the latents, in which the classes differ.
    original_objective
        Whether the released code minimises the loss per cell (``mean``) or that of all cells (``sum``).
    moves_latents
        Whether latents show what a perturbation does, as they do unless the decoder is told it.
    """

    module: PerturbationVAE
    module_class: ClassVar[type[PerturbationVAE]] = PerturbationVAE
    prior_class: ClassVar[type[StandardNormal]]
    original_objective: ClassVar[Literal["mean", "sum"]] = "mean"
    moves_latents: ClassVar[bool] = True

    def __init__(
        self,
        adata: AnnData | None = None,
        n_latent: Count = 15,
        beta: NonNegative = 1.0,
        control: object = None,
        preset: PresetName = DEFAULT_PRESET,
        n_hidden: Count = 128,
        n_layers: Count | None = None,
        dropout_rate: ProperFraction | None = None,
        slope: ProperFraction | None = None,
        batch_norm: bool | None = None,
        initial_logit: Number | None = None,
        **prior_options: float,
    ):
        super().__init__(adata)
        networks = {
            "n_layers": n_layers,
            "dropout_rate": dropout_rate,
            "slope": slope,
            "batch_norm": batch_norm,
        }
        others = {
            "n_latent": n_latent,
            "n_hidden": n_hidden,
            "beta": beta,
            "preset": preset,
            "initial_logit": initial_logit,
        }
        given = checked_arguments(type(self), networks | others | prior_options)
        self.preset_ = preset
        choices = named_preset(preset)
        chosen = {name: given[name] for name in networks if given[name] is not None}
        self.perturbations_ = self._labels(REGISTRY_KEYS.LABELS_KEY)
        self.trained_ = list(self.perturbations_)
        self.control_ = CONTROL if control is None else str(control)
        self.adapted_ = {}
        self.batches_ = self._labels(REGISTRY_KEYS.BATCH_KEY)
        of_prior = {name: given[name] for name in prior_options} | self.prior_arguments()
        if issubclass(self.prior_class, MaskedShift):
            own = given["initial_logit"]
            of_prior["initial_logit"] = choices.initial_logit if own is None else own
        self.module = self.module_class(
            n_genes=self.summary_stats.n_vars,
            prior=self.prior_class(
                len(self.perturbations_),
                given["n_latent"],
                code_of_control(control, self.perturbations_, type(self).__name__),
                **of_prior,
            ),
            n_batch=self.summary_stats.n_batch,
            n_hidden=given["n_hidden"],
            beta=given["beta"],
            **{**choices.networks, **chosen},
        )
        self._model_summary_string = f"{type(self).__name__} with {n_latent} latents, preset {preset}"
        self.init_params_ = self._get_init_params(locals())

    def prior_arguments(self) -> dict[str, Any]:
        """Return what the prior has to know of the cells, beside their labels; by default nothing."""
        return {}

    def adds_up(self, perturbation: str) -> bool:
        """Whether the shift of an unseen perturbation follows from those of its parts; by default never."""
        return False

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
        adata
            Cells × genes.
        perturbation_key
            Column of ``obs`` with one perturbation label per cell.
        batch_key
            Column of ``obs`` with the batch, given to the decoder; ``None`` for no correction.
        layer
            Layer that holds the counts; ``None`` for ``X``.
        **kwargs
            Passed to :meth:`scvi.data.AnnDataManager.register_fields`.

        Raises
        ------
        BenchmarkError
            If there is no such column or layer, naming the nearest one; if a cell has no label, no batch or
            no counts; or if `adata` has other genes than the saved model that is loaded with it.
        """
        check_screen(adata, perturbation_key, batch_key, layer)
        if "source_registry" not in kwargs:  # else scvi-tools calls, with arguments of its own
            refuse_unknown(kwargs, ("perturbation_key", "batch_key", "layer"), "setup_anndata")
        if kwargs.get("source_registry") is not None:
            saved = kwargs["source_registry"]["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
            refuse_other_genes(adata, saved["column_names"])
        setup_method_args = cls._get_setup_method_args(**locals())
        fields = [
            # The counts are checked above; the check of scvi-tools knows no sparse arrays.
            LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=False),
            CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, perturbation_key),
            CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
        ]
        manager = AnnDataManager(fields=fields, setup_method_args=setup_method_args)
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    def training_plan(self, **changes: Any) -> TrainingPlan:
        """Return the plan of the model's preset.

        Parameters
        ----------
        **changes
            Fields of :class:`svae.training.plan.TrainingPlan` to change.

        Raises
        ------
        BenchmarkError
            If there is no such field; it names the nearest one.
        """
        objective = self.original_objective if self.preset_ == "original" else "mean"
        return plan_with(named_preset(self.preset_).plan, **({"objective": objective} | changes))

    def train(
        self,
        max_epochs: int | None = None,
        train_size: float = 0.9,
        external_indexing: Sequence[np.ndarray] | None = None,
        accelerator: str = "auto",
        trainer: Literal["fleet", "lightning"] = "fleet",
        seed: int | None = None,
        **changes: Any,
    ) -> None:
        """Train the model on the perturbations of its data (stage 1).

        Progress is logged to the logger ``svae``.

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
            ``fleet`` for our loop (a fleet of one), ``lightning`` for the one of scvi-tools. The latter knows
            neither dense epochs nor decay, own learning rates of masks, or keeping the best weights: it
            refuses a plan that has them, as that of preset ``tuned`` does.
        seed
            Seed of the split, the noise and the order of the data; drawn from torch's global
            generator where ``None``, so that ``scvi.settings.seed`` governs it.
        **changes
            Fields of :class:`svae.training.plan.TrainingPlan` to change.

        Raises
        ------
        BenchmarkError
            If an option is unknown, out of range, or one that the trainer cannot honour; or if the training
            diverged, after which the model counts as untrained.
        """
        if max_epochs is not None:
            changes["max_epochs"] = max_epochs
        refuse_unknown(changes, OF_FIRST_STAGE, "train")
        if trainer not in TRAINERS:
            raise unknown("trainer", trainer, TRAINERS, "train")
        device_of(accelerator)
        plan = self.training_plan(**changes)
        seed = given_or_drawn(seed, "train")
        training, validation = cells_to_train_on(self.adata.n_obs, train_size, external_indexing, seed)
        refuse_idle(changes, validation, "train")
        if trainer == "lightning":
            train_with_lightning(self, training, validation, accelerator, plan)
            self.remember_training(training, validation)
            self.end_first_stage(seed)
        else:
            train_together([self], [seed], training, validation, accelerator, [plan])
        refuse_divergence(self, plan, "train")

    def remember_training(self, training: np.ndarray, validation: np.ndarray) -> None:
        """Take note of what the model was trained on.

        Parameters
        ----------
        training, validation
            Indices of cells. Perturbations without training cells count as held out.
        """
        self.train_indices, self.validation_indices = training, validation
        seen = set(self.reader.perturbation(self.adata, training))
        self.trained_ = [name for name in self.perturbations_ if name in seen]
        self.adapted_ = {}
        self.module.eval()
        self.is_trained_ = True

    def end_first_stage(self, seed: int) -> None:
        """Do what a model class does once, between the first stage and the second; by default nothing.

        Parameters
        ----------
        seed
            That of the training.
        """

    def refit(self, accelerator: str = "auto", seed: int | None = None, **changes: Any) -> None:
        """Fix the masks at their more probable values and train on (stage 2, before transfer).

        Models without masks train on as they are, so that all get the same number of steps.

        Parameters
        ----------
        accelerator
            ``cpu``, ``cuda`` or ``auto``.
        seed
            Seed of the noise and the order of the data, as in :meth:`train`.
        **changes
            Fields of :class:`svae.training.plan.TrainingPlan` to change.

        Raises
        ------
        BenchmarkError
            If an option is unknown, out of range, or one of the first stage; or if the training diverged,
            after which the model counts as untrained.
        """
        self._check_if_trained(warn=False)
        refuse_unknown(changes, OF_SECOND_STAGE, "refit")
        seed = given_or_drawn(seed, "refit")
        refuse_idle(changes, self.validation_indices, "refit")
        plan = self.training_plan(**changes)
        refit_together([self], [seed], accelerator, [plan])
        refuse_divergence(self, plan, "refit")

    @torch.no_grad()
    def adapt(self, adata: AnnData, indices: Indices = None) -> None:
        """Fit the shifts of held-out perturbations to their cells, all else frozen (stage 3).

        Perturbations the model was trained on keep their shifts. A model without shifts, such as the VAE, has
        nothing to fit, and nothing changes.

        Parameters
        ----------
        adata, indices
            Cells of held-out perturbations; all of `adata` where `indices` is ``None``.
        """
        self._check_if_trained(warn=False)
        cells, names = self.read_cells(adata, indices)
        held_out = sorted(set(names) - set(self.trained_))
        chosen = np.flatnonzero(np.isin(names, held_out))
        groups = torch.as_tensor(np.searchsorted(held_out, names[chosen]), device=self.module.device)
        found = self.adapted_to(cells[torch.as_tensor(chosen)], groups, len(held_out))
        if found is not None:
            self.adapted_ |= dict(zip(held_out, found.tolist(), strict=True))

    def adapted_to(self, cells: Cells, groups: Tensor, n_groups: int) -> Tensor | None:
        """Shift of each group of held-out cells, groups × latents; None if the model has no shifts."""
        if not isinstance(self.module.prior, DenseShift):
            return None
        return transfer.adapted_shifts(self.module, cells, groups, n_groups)

    def forget_adaptation(self) -> None:
        """Take back all :meth:`adapt` did: held-out perturbations have no shift again."""
        self.adapted_ = {}

    def _labels(self, key: str) -> list[str]:
        return [str(name) for name in self.adata_manager.get_state_registry(key).categorical_mapping]
