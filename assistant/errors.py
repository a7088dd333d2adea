"""
Every exception this package raises on purpose:

* AssistantError
    * ConfigError       a configuration file, option or environment variable is wrong
    * MediaError        a picture or a recording cannot be used
    * CheckpointError   a model folder is missing, incomplete or of a kind we refuse
    * CommandError      a command of the command line cannot do what was asked
    * ProtocolError     the peer on the engine link broke the link protocol
    * SchemaRefused     a JSON schema has no values, or says what we do not understand
    * EngineError
        * RequestRefused   one request cannot be served; carries a stable code
        * EngineGone       the engine process is no longer there

Anything else that escapes is a bug: let it, with its traceback.
"""


class AssistantError(Exception):
    """Base class of the exceptions raised on purpose."""


class ConfigError(AssistantError):
    """A configuration file, option or environment variable is wrong."""


class MediaError(AssistantError):
    """
    A picture or a recording cannot be used.

    ``code`` is the error code a client sees (``image_too_large``, …).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CheckpointError(AssistantError):
    """A model folder is missing, incomplete or of a kind we refuse to load."""


class CommandError(AssistantError):
    """A command of the command line cannot do what was asked."""


class ProtocolError(AssistantError):
    """The peer on the engine link broke the link protocol."""


class SchemaRefused(AssistantError):
    """
    A JSON schema has no values, or says what we do not understand.

    ``path`` leads from the schema to the keyword, as in ``.properties.city.pattern``.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path.lstrip('.') or 'the schema'} {reason}")
        self.path = path
        self.reason = reason


class EngineError(AssistantError):
    """The engine could not do what was asked."""


class RequestRefused(EngineError):
    """
    One request cannot be served; everything else goes on.

    ``code`` is stable: ``context_length_exceeded``, ``no_free_slot``, ….
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class EngineGone(EngineError):
    """The engine process is no longer there."""
