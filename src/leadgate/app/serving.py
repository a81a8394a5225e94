"""Starts the HTTP service of a project."""

from leadgate.app.cli.output import errors
from leadgate.app.wire import Home
from leadgate.errors import RefusedError


def run(home: Home, host: str, port: int, *, no_auth: bool) -> None:
    """Serve the champion until the process is told to stop.

    Raises RefusedError when the port is taken, when there is no champion, or when other machines could reach a
    service that asks nobody for a key and nobody has said that this is meant.
    """
    from leadgate.scoring.server import bind, is_loopback  # noqa: PLC0415

    if not is_loopback(host) and not no_auth:
        raise RefusedError(
            f"{host} can be reached by other machines, and the service asks nobody for a key; "
            "listen on 127.0.0.1, or put it behind a proxy that checks callers and add --no-auth."
        )
    listener = bind(host, port)
    try:
        _serve(home, listener, no_auth=no_auth)
    finally:
        listener.close()


def _serve(home: Home, listener: "object", *, no_auth: bool) -> None:
    import socket  # noqa: PLC0415

    from leadgate.models.scorers import load  # noqa: PLC0415
    from leadgate.scoring.api import create_app  # noqa: PLC0415
    from leadgate.scoring.log import ServingLog  # noqa: PLC0415
    from leadgate.scoring.server import serve  # noqa: PLC0415

    assert isinstance(listener, socket.socket)
    champion = home.registry.champion()
    if champion is None:
        raise RefusedError(f"Model {home.project.name!r} has no champion yet; make one with `leadgate train`.")
    scored = load(home.registry, champion)
    log = ServingLog(home.database_url)
    log.open()
    host, port = listener.getsockname()[:2]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if home.settings.clock_shift_days:
        errors.print(f"note: this process's clock is shifted by {home.settings.clock_shift_days:g} days")
    errors.print(
        f"Serving {scored.card.model_name} version {champion.version} "
        f"({'compiled' if scored.card.compiled else 'library'} scorer) at {base}; "
        f"{'ANYONE who reaches it may score' if no_auth else 'this machine only, no key asked'}. "
        f"Try {base}/docs. Ctrl-C stops it.",
        soft_wrap=True,
    )
    serve(create_app(scored, log, home.clock), listener)
