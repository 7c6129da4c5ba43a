"""From a name to a model with its weights on a device: the only room that knows every model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from drumsep import importing, memory, weights
from drumsep.devices import device_of
from drumsep.errors import DrumsepError
from drumsep.hashing import file_sha256
from drumsep.separator import Model, Separator, Transcriber

if TYPE_CHECKING:
    from torch import Tensor

    from drumsep.idm.model import IdmModel

DEFAULT = "drumsep"
TRANSCRIBER, TEMPLATES, SYNTHESISER = "transcriber", "templates", "idm"
LISTENING = (TRANSCRIBER, TEMPLATES)  # what finds the hits of models that do not transcribe

OWN_IDM_ALPHA = 2.0  # of its masks: 1 dB better than the published 1 on eval-dev

# Models that are made of bundled weights, beside those that are weights of their own.
COMPOSED = {
    DEFAULT: (TRANSCRIBER, TEMPLATES, SYNTHESISER),
    SYNTHESISER: (SYNTHESISER, TRANSCRIBER, TEMPLATES),
    "nmfd": (TRANSCRIBER, TEMPLATES),
    "sab-nmf": (TRANSCRIBER, TEMPLATES),
}


@dataclass(frozen=True, eq=False)
class _Weights:
    """What a model is built from."""

    name: str
    state: Mapping[str, "Tensor"]
    metadata: Mapping[str, str]
    device: torch.device


def load(name: str = DEFAULT, *, weights: Path | None = None, device: str = "auto") -> Separator:
    """Load a model by name.

    Args:
        name: `drumsep` (the default), `idm` (ours too), `nmfd`, `sab-nmf`, or an installed model
            (`drumsep models list`).
        weights: a stored model (.safetensors with its card) or a published checkpoint to use
            instead of an installed model; `name` is then only what it is called.
        device: auto (CUDA where there is some), cpu, cuda or cuda:N.

    Raises:
        DrumsepError: unknown name, damaged or hostile weights, or no such device.
    """
    place = device_of(device)
    if weights is not None:
        return Separator(_own(_from_file(weights, place)))
    if name in COMPOSED:
        return Separator(_COMPOSERS[name](name, place))
    return Separator(_own(_installed(name, place)))


def hashes(name: str, given: Path | None = None) -> dict[str, str]:
    """SHA-256 of the weights that `load` would use, by name, as their cards say.

    Raises:
        DrumsepError: unknown name, or no such file.
    """
    if given is None:
        cards = [weights.find(part) for part in COMPOSED.get(name, (name,))]
        if cards[0].kind == "larsnet":  # its notes are the transcriber's
            cards += [card for card in weights.installed() if card.name in LISTENING]
        return {card.name: card.sha256 for card in cards}
    if not given.is_file():
        raise DrumsepError(f"{given}: no such file (drumsep models import takes folders)")
    return {given.name: file_sha256(given)}


def installed_models() -> tuple[str, ...]:
    """Names that `load` takes: the default first, then installed models, then the baselines."""
    own = [
        card.name
        for card in weights.installed()
        if card.kind in _BUILDERS and card.name not in COMPOSED
    ]
    return (DEFAULT, *own, *(name for name in COMPOSED if name != DEFAULT))


def _installed(name: str, device: torch.device) -> _Weights:
    card = weights.find(name)
    return _Weights(name, *weights.read(card), device)


def _from_file(path: Path, device: torch.device) -> _Weights:
    if path.suffix == ".safetensors":
        return _Weights(path.stem, *weights.read(weights.read_card(path)), device)
    converted = importing.convert(path)
    return _Weights(converted.name, converted.state, converted.metadata, device)


def _own(found: _Weights) -> Model:
    """A model that is a network with weights of its own."""
    kind = found.metadata.get("kind", "")
    if kind not in _BUILDERS:
        allowed = ", ".join(_BUILDERS)
        raise DrumsepError(f"{found.name} cannot separate: it is a {kind}, not one of {allowed}")
    return _BUILDERS[kind](found)


def _idm(found: _Weights) -> "IdmModel":
    from drumsep.idm.model import IdmModel
    from drumsep.idm.network import from_state

    return IdmModel(from_state(found.state, found.metadata).to(found.device), found.name)


def _larsnet(found: _Weights) -> Model:
    from drumsep.larsnet.model import LarsNetModel
    from drumsep.larsnet.network import from_state

    if found.device.type == "cpu":
        memory.keep_freed()
    network = from_state(found.state, found.metadata).to(found.device)
    return LarsNetModel(network, found.name, _bundled_transcriber(found.device))


def _bundled_transcriber(device: torch.device) -> Transcriber | None:
    """Our transcriber, for models that do not transcribe; None where its weights are missing."""
    names = {card.name for card in weights.installed()}
    return _transcriber(_templates(device)) if names.issuperset(LISTENING) else None


def _transcriber(templates: "Tensor") -> Transcriber:
    """Our transcriber on the device of the templates that its second look begins with."""
    from drumsep.second_look.judge import SecondLook
    from drumsep.transcriber.ensemble import from_state
    from drumsep.transcriber.model import NetworkTranscriber

    found = _installed(TRANSCRIBER, templates.device)
    networks = NetworkTranscriber(from_state(found.state, found.metadata), found.device)
    return SecondLook(networks, templates)


def _templates(device: torch.device) -> "Tensor":
    return _installed(TEMPLATES, device).state[TEMPLATES].float().to(device)


def _template_model(name: str, device: torch.device) -> Model:
    from drumsep.template.model import TemplateModel

    @cache  # a batch asks for it once per file
    def synthesiser() -> Model:
        return _idm(_installed(SYNTHESISER, device))

    templates = _templates(device)
    return TemplateModel(templates, _transcriber(templates), synthesiser, name)


def _own_idm(name: str, device: torch.device) -> Model:
    """Our IDM: what it makes of our transcriber's hits."""
    with_own_head = _idm(_installed(name, device))
    transcriber = _transcriber(_templates(device))
    return replace(with_own_head, transcriber=transcriber, alpha=OWN_IDM_ALPHA)


def _baseline(name: str, device: torch.device) -> Model:
    from drumsep.nmf.model import NmfModel

    templates = _templates(device)
    return NmfModel(name, templates, _transcriber(templates))


_BUILDERS: Mapping[str, Callable[[_Weights], Model]] = {"idm": _idm, "larsnet": _larsnet}
_COMPOSERS: Mapping[str, Callable[[str, torch.device], Model]] = {
    DEFAULT: _template_model,
    SYNTHESISER: _own_idm,
    "nmfd": _baseline,
    "sab-nmf": _baseline,
}
