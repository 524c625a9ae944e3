"""What a scope can say of a model class: the arguments of its signature, read without loading torch.

A signature stands once, in the file of its class. That file loads torch for seconds, and a scope is read at
every start of the workflow; so the signature is read from the source, with the types of :mod:`svae.values`
as its annotations.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import create_model

from svae.options import GeneratedOptions, Options
from svae.training.plan import TrainingPlan
from svae.values import Number, Whole

LIGHT = ("typing", "svae.values", "svae.training.plan", "svae.training.presets")
"""Modules that may be loaded for the sake of an annotation. An argument of another type is not checked."""

DECIDED_BY_THE_BENCHMARK = ("adata", "control")
"""Arguments that a scope cannot set: prepared data have one label of unperturbed cells."""

OF_MASKS = ("initial_logit", "mask_travel")
"""Options that do nothing to a model without masks."""

BASE = ("svae.models.model", "PerturbationModel")
MASKED_PRIOR = "MaskedShift"


@cache
def model_options(method: str) -> type[Options]:
    """Return the options of a model class: its arguments, and the fields of the training plan.

    Parameters
    ----------
    method
        One of :data:`svae.models.FAMILY`.
    """
    return _options(_arguments(_family_of(method)))


@cache
def shared_options() -> type[Options]:
    """Return the options that all model classes have: arguments of their base, and the training plan."""
    return _options(_arguments(list(_family(*BASE))))


@cache
def has_masks(method: str) -> bool:
    """Whether the prior of a model class has masks, which the options :data:`OF_MASKS` are about."""
    for source in _family_of(method):
        prior = source.prior
        if prior is not None:
            return any(ancestor.node.name == MASKED_PRIOR for ancestor in _family(*prior))
    return False


@dataclass(frozen=True)
class _Source:
    """A class as its file has it."""

    module: str
    node: ast.ClassDef
    imports: Mapping[str, tuple[str, str]]

    @property
    def bases(self) -> Iterator[tuple[str, str]]:
        """Module and name of each base class of this package."""
        for base in self.node.bases:
            module, name = self.where(ast.unparse(base))
            if module.startswith("svae."):
                yield module, name

    @property
    def constructor(self) -> ast.FunctionDef | None:
        """The class's own ``__init__``."""
        found = [n for n in self.node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
        return found[0] if found else None

    @property
    def prior(self) -> tuple[str, str] | None:
        """Module and name of the class that ``prior_class`` is set to, where this class sets it."""
        for statement in self.node.body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "prior_class":
                return self.where(ast.unparse(statement.value))
        return None

    def where(self, name: str) -> tuple[str, str]:
        """Module that a name in this file comes from, and what it is called there."""
        return self.imports.get(name, (self.module, name))

    def type_of(self, annotation: ast.expr | None) -> Any:
        """Return the type that an annotation stands for; any type, if it needs a module that is not light."""
        if annotation is None:
            return Any
        names = {"float": Number, "int": Whole}
        for node in ast.walk(annotation):
            module, name = self.where(node.id) if isinstance(node, ast.Name) else ("", "")
            if module in LIGHT:
                names[node.id] = getattr(import_module(module), name)  # type: ignore[attr-defined]
        try:
            return eval(ast.unparse(annotation), names)
        except NameError:
            return Any


@cache
def _classes(module: str) -> dict[str, _Source]:
    """Read the classes of a module by name, without running it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    imports = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {node.name: _Source(module, node, imports) for node in tree.body if isinstance(node, ast.ClassDef)}


def _family(module: str, name: str) -> Iterator[_Source]:
    """Return a class and its ancestors in this package, the class first."""
    source = _classes(module).get(name)
    if source is None:
        return
    yield source
    for base in source.bases:
        yield from _family(*base)


def _family_of(method: str) -> list[_Source]:
    """Return the model class of a method and its ancestors, the class first."""
    module = f"svae.models.family.{method}"
    for name in _classes(module):
        family = list(_family(module, name))
        if BASE in [(ancestor.module, ancestor.node.name) for ancestor in family]:
            return family
    return []


def _arguments(family: list[_Source]) -> dict[str, Any]:
    """Names and types of the arguments of a class, those that it hands on to its bases included."""
    arguments: dict[str, Any] = {}
    for source in reversed(family):
        if source.constructor is None:
            continue
        declared = source.constructor.args
        if declared.kwarg is None:
            arguments = {}  # it hands nothing on
        for argument in [*declared.args[1:], *declared.kwonlyargs]:
            arguments[argument.arg] = source.type_of(argument.annotation)
    return {name: kind for name, kind in arguments.items() if name not in DECIDED_BY_THE_BENCHMARK}


def _options(arguments: Mapping[str, Any]) -> type[Options]:
    """Return options with these arguments and the fields of the training plan; none has to be given."""
    plan = get_type_hints(TrainingPlan, include_extras=True)
    of_plan = {name: plan[name] for name in TrainingPlan.__dataclass_fields__}
    fields: dict[str, Any] = {name: (kind, None) for name, kind in {**arguments, **of_plan}.items()}
    return create_model("ModelOptions", __base__=GeneratedOptions, **fields)
