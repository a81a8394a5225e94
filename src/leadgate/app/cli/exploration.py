"""How `leadgate performance` tells what explored leads say of the scores."""

from typing import TYPE_CHECKING

from leadgate.app.cli.output import errors, print_table, with_interval

if TYPE_CHECKING:
    from leadgate.outcomes.exploring import Feedback, Figure


def print_feedback(found: "Feedback") -> None:
    """The AUC of following the scores beside the AUC of the scores."""
    rows = [
        ("all matured leads, as sales worked them", _figure(found.ordinary)),
        ("unbiased: leads worked whatever their score, weighted", _figure(found.unbiased)),
        ("explored leads alone", _figure(found.explored_alone)),
    ]
    title = f"Feedback, by {found.explored:,} explored leads of which {found.conversions:,} converted"
    print_table(title, ["AUC on", "AUC (95 %)"], rows, numbers=" r")
    errors.print(_said(found), soft_wrap=True)
    if found.contacted is not None:
        high, others = found.contacted
        not_alike = "NOT alike, so that these figures lean, too. Is the team's list sorted by score?"
        errors.print(
            f"Sales were in touch with {others.leads:,} of the {others.of:,} explored leads that score low, and with "
            f"{high.leads:,} of the {high.of:,} that score high: {'alike.' if found.worked_alike else not_alike}",
            soft_wrap=True,
        )


def _figure(figure: "Figure | None") -> str | None:
    return None if figure is None else with_interval(figure.value, figure.interval)


def _said(found: "Feedback") -> str:
    if found.difference is None or found.needed is None:
        return "Too few explored leads have an outcome to say how much the figures above lean to the scores."
    enough = f"an interval of ±0.03 from explored leads alone takes {found.needed:,} of them with an outcome"
    if not found.differs:
        return f"No feedback bias is seen beyond chance; {enough}."
    way = "too high" if found.difference > 0 else "too low"
    return (
        f"The ordinary AUC is {abs(found.difference):.3f} {way}: sales work what is scored high, and that decides part "
        f"of what becomes of the leads (docs/feedback-bias.md). The unbiased one is that of the scores; {enough}."
    )
