"""Every error that duchenne raises on purpose.

A message says what was wrong, what was got, what is allowed and what to do.
"""


class DuchenneError(Exception):
    """Root of all errors that a caller may want to catch; the command line prints its message alone."""


class VocabularyError(DuchenneError, ValueError):
    """A name that is not in the vocabulary (action unit, servo, region, skin …)."""


class InputError(DuchenneError, ValueError):
    """An array or a file from outside that cannot be used: wrong shape, not finite, unreadable."""


class FaceError(InputError):
    """A picture in which exactly one face was wanted and none, or more than one, was found."""


class ModelFileError(DuchenneError):
    """A model file that is missing, cannot be fetched or is not the one that was asked for."""


class GraphicsError(DuchenneError):
    """No OpenGL backend could make a picture."""


class PhysicsDiverged(DuchenneError):
    """MuJoCo reported a divergence; the simulation's state is no longer to be trusted."""


class BusError(DuchenneError):
    """A servo bus, or a servo on it, that is not there, does not answer or is not what the servo map says."""


class CommandRejected(DuchenneError):
    """A servo command that the Guard did not let pass; `rule` names the rule that it broke."""

    def __init__(self, rule: str, message: str):
        super().__init__(f"{rule}: {message}")
        self.rule, self._message = rule, message

    def __reduce__(self):
        return type(self), (self.rule, self._message)
