"""The errors that people see: each is one sentence that says what is wrong and what to do."""


class UsageError(Exception):
    """Bad input: an unknown name, a bound too large, a malformed file. Exit status 2."""


class MissingTool(UsageError):
    """A tool that is not installed; the sentence says how to get it. Exit status 2."""


class SpecError(Exception):
    """A model breaks a rule of the language; the sentence names the action and its line."""


class Disagreement(Exception):
    """Two engines differ, or an engine and the plain interpreter: a fault of ours, never of a model."""


class Inexpressible(Exception):
    """A reader cannot express what a model says, for a reason that the sentence gives."""
