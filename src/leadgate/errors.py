"""The one kind of error that a person is meant to read: a sentence that says what, where and what to do."""


class LeadgateError(Exception):
    """Something the caller can mend. The message is a whole sentence; the CLI prints it and exits with 2."""


class BadFileError(LeadgateError):
    """A file that cannot be read as leads or outcomes."""


class BadConfigError(LeadgateError):
    """A leadgate.yaml that does not say what a lead is."""


class RefusedError(LeadgateError):
    """A well-formed request that the state of the project forbids."""


class DatabaseDownError(LeadgateError):
    """PostgreSQL does not answer."""


class NotFoundError(LeadgateError):
    """Something named does not exist: a snapshot, a model version, a lead."""
