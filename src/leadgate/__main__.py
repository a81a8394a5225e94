"""``python -m leadgate`` is ``leadgate``."""

from leadgate.app.cli import main

main()
