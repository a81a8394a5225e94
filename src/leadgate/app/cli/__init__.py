"""The command line: ``leadgate <noun> <verb>``. Each command parses, calls one function and prints."""

import sys

from leadgate.app.cli.root import app
from leadgate.errors import LeadgateError


def main() -> None:
    """Run a command. What a person can mend is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except LeadgateError as error:
        sys.stderr.write(f"leadgate: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
