"""The models, one file each; `find` also loads one from a file of your own."""

import importlib.util
import sys
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.models import election, lock, replication, vote_count

MODELS = {model.name: model for model in (election.MODEL, vote_count.MODEL, replication.MODEL, lock.MODEL)}


def find(name: str) -> Model:
    """The model of this name, or MODEL in the file of this path; UsageError with what there is."""
    if name.endswith(".py"):
        return _load(Path(name))
    if name not in MODELS:
        raise UsageError(f"there is no model {name!r}: choose from {', '.join(MODELS)}, or give a .py file")
    return MODELS[name]


def _load(path: Path) -> Model:
    """`MODEL` of a Python file, which is run for it. SpecError where it breaks a rule of the language."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"there is no model file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # the actions' annotations are looked up there
    spec.loader.exec_module(module)
    model = getattr(module, "MODEL", None)
    if not isinstance(model, Model):
        raise UsageError(f"{path} defines no MODEL: end it with MODEL = model(__name__, State)")
    return model
