"""Posteriors of the latents of cells, and how likely cells are: one estimator for models and for simulators.

===================== =====================================================================================
:mod:`.network`       the form in which models and simulators hand over their decoder
:mod:`.observed`      cells whose counts were observed: log-likelihood, score and Fisher information
:mod:`.prior`         the normal prior of the latents
:mod:`.modes`         modes of the posterior, by damped Gauss–Newton steps
:mod:`.proposal`      Student-t distributions that are fitted to the posterior
:mod:`.likelihood`    log p(x) by importance sampling with them
:mod:`.elbo`          what the best posterior with independent latents gives
:mod:`.density`       the negative binomial
===================== =====================================================================================

All of it is written in torch, for all cells at once, on whatever device the tensors are.
"""
