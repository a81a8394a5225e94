"""Reports of a project: made of what the database and the registry have, written as Markdown, HTML or PDF."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from psycopg import IsolationLevel

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.views.reports.markdown import to_markdown
from leadgate.views.reports.reading import Reader
from leadgate.views.reports.report import Report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Any of them prints HTML as PDF."""
_PATIENCE_S = 120
FORMS = {".md": "Markdown", ".html": "HTML", ".htm": "HTML", ".pdf": "PDF"}


@contextmanager
def reader(home: Home, until: datetime | None) -> Iterator[Reader]:
    """What reports are made with, as things were known at a time; None: now. Raises RefusedError for a later time."""
    now = home.clock()
    if until is not None and until > now:
        raise RefusedError(f"--until {until:%Y-%m-%d %H:%M} UTC lies in the future; nothing is known of it yet.")
    with home.connection() as connection:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ  # all numbers are of one moment
        yield Reader(
            connection=connection,
            project=home.project,
            registry=home.registry,
            snapshots_uri=home.snapshots_uri,
            now=until or now,
        )


def refuse_unwritable(out: Path) -> None:
    """Raises RefusedError where a report cannot be written there, before anything slow is done."""
    if out.suffix.lower() not in FORMS:
        raise RefusedError(f"{out} has none of the endings .md, .html and .pdf; they say what is written.")
    if not out.parent.is_dir():
        raise RefusedError(f"There is no folder {out.parent}; make it, or give another --out.")
    if out.is_dir():
        raise RefusedError(f"{out} is a folder; name a file in it.")
    if out.suffix.lower() == ".pdf":
        browser()


def write(report: Report, out: Path) -> None:
    """Write a report in the form that the ending says. Raises RefusedError where it cannot be written."""
    refuse_unwritable(out)
    form = FORMS[out.suffix.lower()]
    try:
        if form == "PDF":
            _print(report, out)
        else:
            out.write_text(to_markdown(report) if form == "Markdown" else _html(report), encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"Cannot write {out} ({error.strerror}); give another --out.") from error


def browser() -> str:
    """The browser that prints. Raises RefusedError without one."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise RefusedError(
            "A PDF is printed by Chromium, which is not on this machine (Debian: apt-get install chromium). Write the "
            "report as .html instead: any browser prints it as PDF, with page breaks where they belong."
        )
    return found


def _html(report: Report) -> str:
    from leadgate.views.reports.web import to_html  # noqa: PLC0415  # matplotlib, 0.5 s

    return to_html(report)


def _print(report: Report, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(_html(report), encoding="utf-8")
        said = subprocess.run(_command(folder, page, made), capture_output=True, timeout=_PATIENCE_S, check=False)
        if not made.is_file():
            lines = said.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise RefusedError(
                f"Chromium printed no PDF ({lines[-1]}); write the report as .html and print it by hand."
            )
        shutil.copyfile(made, out)


def _command(folder: str, page: Path, made: Path) -> list[str]:
    """No sandbox: the page is ours, has no script, and the sandbox does not start in many containers."""
    return [
        browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder}/profile",
        "--no-pdf-header-footer",
        f"--print-to-pdf={made}",
        page.as_uri(),
    ]
