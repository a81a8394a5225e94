"""leadgate alerts: what is out, who was told, who takes care of it."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.cli.profile import in_utc
from leadgate.app.wire import Home, open_home
from leadgate.errors import RefusedError

if TYPE_CHECKING:
    from leadgate.alerts.outbox import Attempt
    from leadgate.app.alerting import Listed, Tested, Told
    from leadgate.storage.postgres.alerts import Message

app = typer.Typer(help="Alerts: see them, acknowledge them, silence them, try the channels.", no_args_is_help=True)

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_COLOURS = {"yellow": "yellow", "red": "red"}
_FAILED = 1
"""What `test` ends with where a channel did not take its message."""

AlertIds = Annotated[list[int], typer.Argument(metavar="ID...", help="Numbers, as `leadgate alerts list` has them.")]


@app.command("list")
def list_(
    project: ProjectDir = HERE,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are resolved.")] = False,
    waiting: Annotated[
        bool, typer.Option("--undelivered", help="Messages that wait or were given up, instead of alerts.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the open alerts, or the messages that have not arrived."""
    from leadgate.app.alerting import listed, undelivered  # noqa: PLC0415

    home = open_home(project)
    if waiting:
        _show_messages(home, undelivered(home), as_json=as_json)
        return
    found = listed(home, everything=everything)
    if as_json:
        print_json([_flat(item) for item in found])
        return
    if found:
        columns = ["", "state", "", "check", "of", "since (UTC)", "told (UTC)", "what was found"]
        print_table(f"Alerts of {home.project.name}", columns, [_row(item) for item in found], numbers="r")
    else:
        console.print("No alert is open.")
    _warn_of_lost(undelivered(home))


@app.command()
def show(
    alert_id: Annotated[int, typer.Argument(metavar="ID", help="Its number.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Show all that happened to an alert, and the messages about it."""
    from leadgate.app.alerting import told  # noqa: PLC0415

    found = told(open_home(project), alert_id)
    if as_json:
        print_json({**vars(found.alert), "history": found.history, "messages": found.messages})
    else:
        _print_told(found)


@app.command()
def ack(
    alert_ids: AlertIds,
    comment: Annotated[str, typer.Option(help="What is being done; kept with the alert.")],
    project: ProjectDir = HERE,
    by: Annotated[str | None, typer.Option(help="Who takes care of it.", show_default="you")] = None,
    as_json: AsJson = False,
) -> None:
    """Take alerts into care: nobody is reminded of them any more, unless they become worse."""
    from leadgate.app.alerting import acknowledge_alert  # noqa: PLC0415

    home = open_home(project)
    done = [acknowledge_alert(home, alert_id, comment=comment, by=by) for alert_id in alert_ids]
    if as_json:
        print_json(done)
        return
    for alert in done:
        said = f"Alert {alert.alert_id} ({alert.check}) is acknowledged by {alert.acknowledged_by}."
        console.print(said, markup=False)


@app.command()
def silence(
    check: Annotated[str, typer.Argument(help="Name of a check, or a pattern: 'latency *', '*'.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the silence.")],
    project: ProjectDir = HERE,
    subject: Annotated[str, typer.Option(help="Only of this feature, version or segment, or a pattern.")] = "*",
    until: Annotated[datetime | None, typer.Option(help="When it ends (UTC).")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="How long it lasts: 90m, 4h, 2d, 1w.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell nobody of alerts for a time. They are moved and recorded all the same, and told after it if still open."""
    from leadgate.app.alerting import silence as add  # noqa: PLC0415

    home = open_home(project)
    end = _end(home, in_utc(until), for_)
    number = add(home, check, subject, until=end, reason=reason)
    if as_json:
        print_json({"silence_id": number, "check": check, "subject": subject, "until": end})
        return
    what = check if subject == "*" else f"{check} of {subject}"
    console.print(f"Silence {number}: nobody is told of {what} until {moment(end)} UTC.", markup=False)


@app.command()
def silences(
    project: ProjectDir = HERE,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the silences that hold."""
    from leadgate.app.alerting import silences as found  # noqa: PLC0415

    rows = found(open_home(project), everything=everything)
    if as_json:
        print_json(rows)
        return
    shown = [
        (r.silence_id, r.check_pattern, r.subject_pattern, moment(r.since), moment(r.until), r.silenced_by, r.reason)
        for r in rows
    ]
    if shown:
        print_table("Silences", ["", "check", "of", "since (UTC)", "until", "by", "why"], shown, numbers="r")
    else:
        console.print("No silence holds.")


@app.command()
def unsilence(
    silence_id: Annotated[int, typer.Argument(metavar="ID", help="Its number.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """End a silence now."""
    from leadgate.app.alerting import unsilence as end  # noqa: PLC0415

    end(open_home(project), silence_id)
    if as_json:
        print_json({"silence_id": silence_id})
        return
    console.print(f"Silence {silence_id} is over.")


@app.command("test")
def try_channels(
    channel: Annotated[str | None, typer.Argument(help="One channel; all when left out.")] = None,
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Send a test message now, and say of each channel whether it was taken; ends with 1 where one was not."""
    from leadgate.app.alerting import send_test  # noqa: PLC0415

    found = send_test(open_home(project), channel)
    if as_json:
        print_json(found)
    else:
        print_table("Test messages", ["channel", "where", "taken", "why not"], [_tested(t) for t in found])
    if not all(tested.sent.taken for tested in found):
        raise typer.Exit(_FAILED)


@app.command()
def update(project: ProjectDir = HERE) -> None:
    """Move the alerts by what the last checks said, as the worker does after each run of checks."""
    from leadgate.app.alerting import update_alerts  # noqa: PLC0415

    done = update_alerts(open_home(project))
    for change in done.changed:
        alert = change.alert
        what = f"{alert.check} of {alert.subject}" if alert.subject else alert.check
        console.print(f"{change.event}: {alert.severity}, {what} (alert {alert.alert_id})", markup=False)
    if not done.changed:
        console.print("No alert has changed.")
    if done.rolled_back is not None:
        console.print(f"The challenger was taken back. {done.rolled_back}", markup=False)


@app.command()
def deliver(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Deliver what waits, as the worker does each minute."""
    from leadgate.app.alerting import deliver_alerts  # noqa: PLC0415

    done = deliver_alerts(open_home(project))
    if as_json:
        print_json(done)
    else:
        _print_attempts(done)


@app.command()
def retry(
    project: ProjectDir = HERE,
    channel: Annotated[str | None, typer.Option(help="Only messages for this channel.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try the messages again that were given up, or that wait for their next try; delivers them now."""
    from leadgate.app.alerting import deliver_alerts  # noqa: PLC0415
    from leadgate.app.alerting import retry as revive  # noqa: PLC0415

    home = open_home(project)
    revived = revive(home, channel)
    tried = deliver_alerts(home) if revived else []
    if as_json:
        print_json(tried)
    elif revived:
        _print_attempts(tried)
    else:
        console.print("Nothing waits for another try.")


def _end(home: Home, until: datetime | None, lasts: str | None) -> datetime:
    if (until is None) == (lasts is None):
        raise RefusedError("A silence has an end; give either --until TIME or --for SPAN (90m, 4h, 2d, 1w).")
    if until is not None:
        return until
    assert lasts is not None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", lasts)
    if found is None:
        raise _bad_span(lasts)
    try:
        return home.clock() + timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise _bad_span(lasts) from None


def _bad_span(lasts: str) -> RefusedError:
    return RefusedError(f"{lasts!r} is no span of time; write it as 90m, 4h, 2d or 1w.")


def _row(item: "Listed") -> tuple[object, ...]:
    alert = item.alert
    state: str = alert.state
    if item.silenced_until is not None:
        state += f", silent until {moment(item.silenced_until)}"
    if item.folded:
        state += ", follows from another"
    return (
        alert.alert_id,
        state,
        f"[{_COLOURS[alert.severity]}]{alert.severity}[/]",
        alert.check,
        _plain(alert.subject),
        moment(alert.opened_at),
        moment(alert.told_at),
        _plain(alert.sentence),
    )


def _flat(item: "Listed") -> dict[str, object]:
    return {**vars(item.alert), "silenced_until": item.silenced_until, "folded": item.folded}


def _print_told(found: "Told") -> None:
    alert = found.alert
    what = f"{alert.check} of {alert.subject}" if alert.subject else alert.check
    console.print(f"Alert {alert.alert_id}: {what}, {alert.severity}, {alert.state}. {alert.sentence}", markup=False)
    history = [(moment(h.happened_at), h.event, h.state, h.severity, h.actor, _plain(h.comment)) for h in found.history]
    print_table("What happened", ["at (UTC)", "event", "state", "", "by", ""], history)
    if found.messages:
        print_table("Messages", *_message_table(found.messages), numbers="    r")


def _show_messages(home: Home, found: "Sequence[Message]", *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if not found:
        console.print("Every message has arrived.")
        return
    print_table(f"Messages of {home.project.name} that have not arrived", *_message_table(found), numbers="    r")
    _warn_of_lost(found)


def _warn_of_lost(found: "Sequence[Message]") -> None:
    dead = sum(message.state == "dead" for message in found)
    if dead:
        console.print(
            f"{dead} messages were given up (`leadgate alerts list --undelivered`); `leadgate alerts retry` tries them "
            "again.",
            soft_wrap=True,
        )


def _message_table(found: "Sequence[Message]") -> tuple[list[str], list[tuple[object, ...]]]:
    columns = ["written (UTC)", "channel", "kind", "state", "tries", "next (UTC)", "title", "last error"]
    rows: list[tuple[object, ...]] = [
        (
            moment(m.written_at),
            m.channel,
            m.kind.replace("_", " "),
            m.state,
            m.attempts,
            moment(m.due_at) if m.state == "waiting" else None,
            _plain(m.title),
            _plain(m.last_error or ""),
        )
        for m in found
    ]
    return columns, rows


def _print_attempts(done: "Sequence[Attempt]") -> None:
    for attempt in done:
        became = "delivered" if attempt.taken else f"{'given up' if attempt.dead else 'to be tried again'}: "
        console.print(f"{attempt.channel}: {attempt.title}: {became}{attempt.error}", markup=False)
    if not done:
        console.print("Nothing was due.")


def _tested(tested: "Tested") -> tuple[str, ...]:
    taken = "[green]yes[/]" if tested.sent.taken else "[red]no[/]"
    return (tested.channel, _plain(tested.shown), taken, _plain(tested.sent.error))


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
