"""What can be wrong with a state directory. Apart from SQLite, whose import not everyone should pay for."""


class StateError(Exception):
    """The state directory cannot be used; the message says what to do."""


class UnknownJobError(StateError):
    """The state directory does not hold the job that was asked for."""
