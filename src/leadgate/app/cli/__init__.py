"""The command line: ``leadgate <noun> <verb>``. Each command parses, calls one function and prints."""

import sys

from leadgate.app.cli.root import app
from leadgate.errors import LeadgateError

_INTERRUPTED = 130


def main() -> None:
    """Run a command. What a person can mend is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except LeadgateError as error:
        _refuse(str(error))
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # by which Typer ends, without a word
            sys.stderr.write("leadgate: stopped by Ctrl-C, before its end.\n")
        raise
    except Exception as error:
        sentence = _outside(error)
        if sentence is None:
            raise
        _refuse(sentence)


def _refuse(sentence: str) -> None:
    sys.stderr.write(f"leadgate: {sentence}\n")
    sys.exit(2)


def _outside(error: Exception) -> str | None:
    """A sentence for an error of a party outside that no command foresees; None for what is our own mistake.

    Told apart by the name of the library, for importing them all would slow every command.
    """
    library = type(error).__module__.split(".")[0]
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if library in ("psycopg", "psycopg_pool", "sqlalchemy") and "OperationalError" in type(error).__name__:
        return f"PostgreSQL stopped answering ({first}); what was begun has not happened. Try again when it is back."
    if library in ("mlflow", "requests", "urllib3"):
        return f"MLflow refuses or does not answer ({first}); see LEADGATE_TRACKING_URI and LEADGATE_REGISTRY_URI."
    if isinstance(error, PermissionError):
        return f"There is no permission for {error.filename} ({error.strerror}); mend it, or work in another folder."
    return None
