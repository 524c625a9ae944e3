"""What a scope can say of the methods that are no model classes; light to load, unlike the methods.

The seed decides `random_state`, so it is no option. Arguments that do not change numbers (`copy`), and
those that a config file cannot hold (`w_init`), are none either.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from svae.contracts.setting import Setting
from svae.errors import BenchmarkError
from svae.options import Options, checked
from svae.values import (
    BatchSize,
    Count,
    NonNegative,
    Positive,
    ProperFraction,
    Text,
    WholeNonNegative,
    number_in,
)

LIBRARYS: Any = None
"""Stands for a default, which is that of the library or the method's own; it is never handed on."""


class PCAOptions(Options):
    """Arguments of :class:`sklearn.decomposition.PCA`, the number of components as `n_latent`."""

    n_latent: Count = LIBRARYS
    whiten: bool = LIBRARYS
    svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"] = LIBRARYS
    tol: NonNegative = LIBRARYS
    iterated_power: WholeNonNegative | Literal["auto"] = LIBRARYS
    n_oversamples: Count = LIBRARYS
    power_iteration_normalizer: Literal["auto", "QR", "LU", "none"] = LIBRARYS


class ContrastOptions(Options):
    """The constant of the contrast function `logcosh`, between 1 and 2."""

    alpha: Annotated[float, Field(ge=1, le=2), BeforeValidator(number_in)] = LIBRARYS


class ICAOptions(Options):
    """Arguments of :class:`sklearn.decomposition.FastICA`, the number of components as `n_latent`."""

    n_latent: Count = LIBRARYS
    algorithm: Literal["parallel", "deflation"] = LIBRARYS
    whiten: Literal["unit-variance", "arbitrary-variance"] = LIBRARYS
    fun: Literal["logcosh", "exp", "cube"] = LIBRARYS
    fun_args: ContrastOptions = LIBRARYS
    max_iter: Count = LIBRARYS
    tol: NonNegative = LIBRARYS
    whiten_solver: Literal["svd", "eigh"] = LIBRARYS


class ScviToolsOptions(Options):
    """Arguments that the models of scvi-tools have in common, and of their training."""

    n_latent: Count = LIBRARYS
    n_hidden: Count = LIBRARYS
    n_layers: Count = LIBRARYS
    dropout_rate: ProperFraction = LIBRARYS
    max_epochs: Count = LIBRARYS
    batch_size: BatchSize = LIBRARYS
    early_stopping: bool = LIBRARYS


class SCVIOptions(ScviToolsOptions):
    """Arguments of :class:`scvi.model.SCVI`; scANVI starts from one, and takes the same."""

    gene_likelihood: Literal["zinb", "nb", "poisson"] = LIBRARYS
    dispersion: Literal["gene", "gene-batch"] = LIBRARYS


class ScArchesOptions(ScviToolsOptions):
    """Arguments of :class:`scvi.model.SCVI`, with the defaults that scvi-tools recommends before surgery."""

    n_layers: Count = 2
    dropout_rate: ProperFraction = 0.2
    gene_likelihood: Literal["zinb", "nb", "poisson"] = LIBRARYS
    surgery_epochs: Count = LIBRARYS
    """Epochs in which the weights of held-out perturbations are trained."""


class ContrastiveVIOptions(ScviToolsOptions):
    """Arguments of :class:`scvi.external.ContrastiveVI`; `n_latent` is its number of salient latents."""

    n_background_latent: Count = LIBRARYS
    wasserstein_penalty: NonNegative = LIBRARYS


class GSFAOptions(Options):
    """How the sampler of guided sparse factor analysis runs; its priors are those of Zhou et al. (2023)."""

    n_latent: Count
    sweeps: Count = 1000
    """Draws of everything. The paper takes 3,000, the released package 500."""
    burn_in: ProperFraction = 0.5
    """Share of the sweeps, from the first on, that is left out of the averages."""


class PerturbVIOptions(Options):
    """How the variational posterior of perturbVI is made and found."""

    n_latent: Count
    effects: Count = 20
    """Single effects of each latent: at most so many genes have a loading."""
    iterations: Count = 1000
    """Updates of everything, at most."""
    tolerance: NonNegative = 1e-4
    """Nats per cell; an iteration that raises the lower bound by less is the last."""


class DCAOptions(Options):
    """Widths, likelihood and training of DCA (Eraslan et al. 2019); the defaults are its own."""

    n_latent: Count = 32
    n_hidden: Count = 64
    zero_inflated: bool = True
    ridge: NonNegative = 0.0
    max_epochs: Count = 300
    batch_size: BatchSize = 32
    learning_rate: Positive = 1e-3
    patience: Count = 15


class ScGenOptions(Options):
    """Widths, loss and training of scGen (Lotfollahi et al. 2019); the defaults are its own."""

    n_latent: Count = 100
    n_hidden: Count = 800
    n_layers: Count = 2
    dropout_rate: ProperFraction = 0.2
    kl_weight: NonNegative = 5e-5
    max_epochs: Count = 100
    batch_size: BatchSize = 32
    learning_rate: Positive = 1e-3
    patience: Count = 25


class RandomOptions(Options):
    """The lower anchor has as many latents as it is told."""

    n_latent: Count


class OracleOptions(Options):
    """The oracle knows the truth: there is nothing to choose."""


class AdditiveOptions(Options):
    """Effects are added: there is nothing to choose."""


class LatentAdditiveOptions(Options):
    """The networks of the latent additive model, and their training."""

    n_latent: Count = 32
    n_hidden: Count = 128
    n_layers: Count = 2
    """Hidden layers of encoder, decoder and embedding."""
    max_epochs: Count = 100
    batch_size: BatchSize = 128
    learning_rate: Positive = 1e-3


class DiscrepancyVAEOptions(Options):
    """Networks, loss and training of the discrepancy-VAE; the defaults are those of Zhang et al. (2023)."""

    n_latent: Count
    n_hidden: Count = 128
    discrepancy_weight: NonNegative = 10.0
    """Weight α of the maximum mean discrepancy, when it is largest."""
    kl_weight: NonNegative = 2.0
    """Weight β of the KL divergence, when it is largest."""
    graph_penalty: NonNegative = 1e-3
    """Weight λ of the sizes of the edges."""
    temperature: Positive = 5.0
    """Factor τ of the logits of target probabilities, when it is largest."""
    kernel_width: Positive = 1000.0
    """Scale of the kernels' widths, a squared distance of two cells."""
    max_epochs: Count = 100
    batch_size: BatchSize = 32
    learning_rate: Positive = 1e-3


class NearestOptions(Options):
    """Which perturbations are near one another, and how many of them predict."""

    gene_sets: Text | None = None
    """File of gene sets with the perturbations in each, GMT or JSON, as the split kind `pathway` takes."""
    neighbours: Count = 5
    """Trained perturbations whose profiles are averaged, at most."""


class EmbeddingsOptions(Options):
    """How genes and perturbations are embedded, with the defaults of Ahlmann-Eltze et al. (2025)."""

    components: Count = 10
    """Principal components of genes, at most."""
    ridge: Positive = 0.1
    """Penalty of both least-squares problems."""


class ControlOptions(Options):
    """A control of predictions has nothing to choose."""


CONTROLS = ("no_change", "mean_response", "technical_duplicate", "interpolated_duplicate")
"""Methods that say what a prediction has to be better than, or cannot be better than."""

OPTIONS: dict[str, type[Options]] = {
    "pca": PCAOptions,
    "ica": ICAOptions,
    "dca": DCAOptions,
    "scgen": ScGenOptions,
    "scvi": SCVIOptions,
    "scanvi": SCVIOptions,
    "contrastive_vi": ContrastiveVIOptions,
    "scarches": ScArchesOptions,
    "gsfa": GSFAOptions,
    "perturbvi": PerturbVIOptions,
    "random": RandomOptions,
    "oracle": OracleOptions,
    "additive": AdditiveOptions,
    "nearest_perturbations": NearestOptions,
    "linear_embeddings": EmbeddingsOptions,
    "latent_additive": LatentAdditiveOptions,
    "discrepancy_vae": DiscrepancyVAEOptions,
    **dict.fromkeys(CONTROLS, ControlOptions),
}
"""Options by method."""

COMPONENTS = ("pca", "ica", "gsfa", "perturbvi")
"""Methods whose latents are components of genes, or begin as such."""

FILE_OPTIONS: Mapping[str, str] = {"nearest_perturbations": "gene_sets"}
"""Methods that read a file beside dataset and split, and the option that names it."""

WORKS_WITH: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "pca": {
        "tol": ("svd_solver", "arpack"),
        "iterated_power": ("svd_solver", "randomized"),
        "n_oversamples": ("svd_solver", "randomized"),
        "power_iteration_normalizer": ("svd_solver", "randomized"),
    },
    "ica": {"fun_args": ("fun", "logcosh")},
}
"""Options that do nothing unless another one has a certain value; scikit-learn passes over them."""


def chosen_options(method: str, setting: Setting) -> Any:
    """Check the options of a setting of a method.

    Parameters
    ----------
    method
        A method of :data:`OPTIONS`.
    setting
        Every setting is handed ``n_latent``; it is left out where the method has no latents to count.

    Returns
    -------
    Options of the type that :data:`OPTIONS` has for the method.

    Raises
    ------
    BenchmarkError
        If an option is unknown or out of range.
    """
    model, given = OPTIONS[method], dict(setting.options)
    if "n_latent" not in model.model_fields:
        given.pop("n_latent", None)
    return checked(model, given, f"method '{method}', setting '{setting.name}'")


def refuse_useless(method: str, options: Mapping[str, Any], where: str) -> None:
    """Raise a :class:`BenchmarkError` if a setting has an option that does nothing beside the others.

    Parameters
    ----------
    method
        Name of the method.
    options
        All options of a setting.
    where
        Name of the setting, for the error message.
    """
    chosen = {"fun": "logcosh", **options}
    for option, (other, value) in WORKS_WITH.get(method, {}).items():
        if option in options and chosen.get(other) != value:
            raise BenchmarkError(f"{where}: '{option}' does nothing unless {other} is '{value}'")


def most_components(options: Mapping[str, Any], n_cells: float, n_genes: int) -> int:
    """Return how many components there are of centred data; Lanczos steps (arpack) do not find the last one.

    Parameters
    ----------
    options
        All options of a setting.
    n_cells, n_genes
        Shape of the data; infinitely many cells where their number is not known.
    """
    most = min(n_cells - 1, n_genes)
    return int(min(most, n_genes - 1) if options.get("svd_solver") == "arpack" else most)
