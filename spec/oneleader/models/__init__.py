"""The models, one file each."""

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.models import election, vote_count

MODELS = {model.name: model for model in (election.MODEL, vote_count.MODEL)}


def find(name: str) -> Model:
    """The model of this name; UsageError with the names there are."""
    if name not in MODELS:
        raise UsageError(f"there is no model {name!r}: choose from {', '.join(MODELS)}")
    return MODELS[name]
