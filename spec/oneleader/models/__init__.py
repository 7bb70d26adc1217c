"""The models, one file each; `find` also loads a flawed one, or one from a file of your own."""

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from oneleader.errors import SpecError, UsageError
from oneleader.language.definitions import MARKED
from oneleader.language.model import Model
from oneleader.models import flawed, progress


class Shipped(Mapping[str, Model]):
    """Models by their names, each imported and traced when it is first asked for."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __getitem__(self, name: str) -> Model:
        if name not in self.names:
            raise KeyError(name)
        return _imported(f"{__name__}.{name}")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


MODELS = Shipped(
    *("election", "vote_count", "pre_vote", "replication"),
    *("membership", "membership_steps", "membership_on_apply", "snapshots", "logless"),
    *("lease", "lease_read", "fencing", "system"),
    *("environment", "lock"),
)
FLAWED = tuple(f"flawed/{module.name}" for module in pkgutil.iter_modules(flawed.__path__))
PROGRESS = tuple(f"progress/{module.name}" for module in pkgutil.iter_modules(progress.__path__))


def find(name: str) -> Model:
    """The model of this name, or MODEL in the file of this path; UsageError with what there is."""
    if name.endswith(".py"):
        return _load(Path(name))
    bare = name.removeprefix("flawed/")  # a recording names its model without the folder
    if f"flawed/{bare}" in FLAWED:
        return _imported(f"{flawed.__name__}.{bare}")
    if f"progress/{name.removeprefix('progress/')}" in PROGRESS:
        return _imported(f"{progress.__name__}.{name.removeprefix('progress/')}")
    if name not in MODELS:
        names = ", ".join((*MODELS, *FLAWED, *PROGRESS))
        raise UsageError(f"there is no model {name!r}: choose from {names}, or give a .py file")
    return MODELS[name]


def _imported(module: str) -> Model:
    found: Model = importlib.import_module(module).MODEL
    return found


def name_of(model: Model) -> str:
    """What `find` is given to get this model, or the one that it is a faulty variant of."""
    if f"progress/{model.name}" in PROGRESS:
        return f"progress/{model.name}"
    flawed_name = f"flawed/{model.name}"
    if flawed_name in FLAWED or model.name in MODELS:
        return flawed_name if flawed_name in FLAWED else model.name
    return str(getattr(sys.modules.get(model.name), "__file__", None) or model.name)


def beside(model: Model, name: str) -> Model:
    """Another model, in a file or by its name, to be compared with `model`: their sorts have to be the same.

    A file that `model` has imported is not run again: its sorts would be others of the same names.
    """
    known = model.refines
    if known and name.endswith(".py") and Path(name).stem == known.name:
        file = getattr(sys.modules.get(known.name), "__file__", None)
        if file and Path(file).resolve() == Path(name).resolve():
            return known
    return find(name)


def _load(path: Path) -> Model:
    """`MODEL` of a Python file, which is run for it. SpecError where it breaks a rule of the language."""
    module = module_of(path)
    model = getattr(module, "MODEL", None)
    if not isinstance(model, Model):
        raise UsageError(f"{path} defines no MODEL: end it with MODEL = model(__name__, State)")
    for function in vars(module).get(MARKED, ()):  # since the model was made of those before
        at = f"{path}:{function.__code__.co_firstlineno}"
        lost = f"{function.__oneleader__} {function.__name__}"
        raise SpecError(f"{at}: {lost} is lost: it stands after MODEL, which has to be the last line")
    return model


def module_of(path: Path, what: str = "model") -> ModuleType:
    """A Python file, run as a module of its own; it may import its neighbours, as a script does."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"there is no {what} file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # the actions' annotations are looked up there
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
