"""The parameters of a model that the operation names, wherever the model keeps them."""

from collections.abc import Mapping, Sequence

from torch import nn

from kernelgate.operations.declaration.argument import Argument

Shape = tuple[int, ...]


class UnmatchedParametersError(RuntimeError):
    """A model has no parameter for one that the operation names, or more than one; the text lists both."""


class ModelParameters:
    """The operation's parameters in one model, by the operation's names of them: `weight`, `bias`.

    Their names in `state_dict` are others, such as `conv1.weight`. Where the model knows a parameter by that
    name, users change it there, and whatever else holds it keeps the old one. Under names of its own it may
    have several places, which are one to a user. Raises UnmatchedParametersError.
    """

    def __init__(self, model: nn.Module, wanted: Sequence[Argument]) -> None:
        self.held: dict[str, nn.Parameter | None] = {}
        self._places: dict[str, list[tuple[nn.Module, str]]] = {}
        shapes = {each.stored_as or each.name: each.shape_at(1) for each in wanted}
        found = match_parameters(dict(model.named_parameters()), shapes)
        for argument, (name, parameter) in zip(wanted, found.items(), strict=True):
            self.held[argument.name] = parameter
            self._places[argument.name] = _place_of(model, name, parameter) or _all_places(model, parameter)

    def __getitem__(self, name: str) -> nn.Parameter:
        """Return the parameter, as it is now; raises KeyError where it was taken out."""
        parameter = self.held[name]
        if parameter is None:
            raise KeyError(name)
        return parameter

    def put(self, name: str, parameter: nn.Parameter | None) -> None:
        """Put another parameter, or none, in the place of this one."""
        self.held[name] = parameter
        for module, key in self._places[name]:
            setattr(module, key, parameter)

    def are_in_place(self) -> bool:
        """Return whether the model still holds what was found or put there."""
        return all(
            module._parameters.get(key) is self.held[name]
            for name, places in self._places.items()
            for module, key in places
        )


def _place_of(model: nn.Module, name: str, parameter: nn.Parameter) -> list[tuple[nn.Module, str]]:
    holder, _, key = name.rpartition(".")
    module = dict(model.named_modules()).get(holder)
    return [(module, key)] if module is not None and module._parameters.get(key) is parameter else []


def _all_places(model: nn.Module, parameter: nn.Parameter) -> list[tuple[nn.Module, str]]:
    return [
        (module, key)
        for module in model.modules()
        for key, each in module.named_parameters(recurse=False, remove_duplicate=False)
        if each is parameter
    ]


def match_parameters(
    model: Mapping[str, nn.Parameter], wanted: Mapping[str, Shape]
) -> dict[str, nn.Parameter]:
    """Return the model's parameter for each name wanted: the one of that name, else the one of that shape.

    Several of a shape go by their order. Parameters that are not wanted are left alone.
    """
    found = {name: model[name] for name, shape in wanted.items() if _has_shape(model, name, shape)}
    rest = {name: parameter for name, parameter in model.items() if name not in found}
    for shape in dict.fromkeys(shape for name, shape in wanted.items() if name not in found):
        missing = [name for name, each in wanted.items() if each == shape and name not in found]
        fitting = [parameter for parameter in rest.values() if tuple(parameter.shape) == shape]
        if len(fitting) != len(missing):
            raise UnmatchedParametersError(_describe(model, wanted, shape, len(fitting)))
        found |= dict(zip(missing, fitting, strict=True))
    return {name: found[name] for name in wanted}


def _has_shape(model: Mapping[str, nn.Parameter], name: str, shape: Shape) -> bool:
    return name in model and tuple(model[name].shape) == shape


def _describe(
    model: Mapping[str, nn.Parameter], wanted: Mapping[str, Shape], shape: Shape, count: int
) -> str:
    has = _list({name: tuple(parameter.shape) for name, parameter in model.items()})
    fit = f"{count or 'none'} of another name fit{'s' * (count < 2)} {list(shape)}"
    return f"ModelNew has the parameters {has}; needed: {_list(wanted)}, by name or by shape; {fit}"


def _list(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) or "none"
