"""The bad-input list: each mistake gets one sentence that says what, where and what to do; nothing is half-written."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from commands import Cli
from leadgate.storage.postgres.server import start_embedded

ROWS = 400


def lines(rows: int = ROWS) -> list[str]:
    """A clean file: size and source tell a little of who converts."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        "lead_id,created_at,company_size,source,employees_known,converted",
        *(
            f"L-{i},{(start + timedelta(hours=i)).isoformat()},{i * 37 % 500},{('web', 'fair', 'call')[i % 3]},"
            f"{('yes', 'no')[i % 5 == 0]},{int(i * 37 % 500 + i % 3 * 60 + i * 7919 % 300 > 420)}"
            for i in range(rows)
        ),
    ]


def write(cli: Cli, name: str, content: list[str] | bytes) -> str:
    """Put a file into the project's folder."""
    data = content if isinstance(content, bytes) else ("\n".join(content) + "\n").encode()
    (cli.folder / name).write_bytes(data)
    return name


def changed(row: int, column: int, value: str) -> list[str]:
    """The clean file with one value changed; ``row`` as a spreadsheet counts."""
    table = [line.split(",") for line in lines()]
    table[row - 1][column] = value
    return [",".join(line) for line in table]


@pytest.fixture(scope="module")
def project(cli: Cli) -> Cli:
    """A project whose clean file is imported, with no tolerance for bad rows."""
    cli.ok("init", ".", "--from", write(cli, "clean.csv", lines()))
    config = cli.folder / "leadgate.yaml"
    config.write_text(config.read_text().replace("quarantine_limit: 0.01", "quarantine_limit: 0"))
    assert "quarantine_limit: 0\n" in config.read_text() or "quarantine_limit: 0 " in config.read_text()
    start_embedded(cli.folder / ".leadgate" / "postgres")  # it runs on, or each command would start and stop it
    cli.ok("data", "import", "clean.csv")
    return cli


@pytest.fixture
def unchanged(project: Cli) -> Cli:
    """The project; whatever the test does to it must leave one snapshot."""
    return project


FILES: dict[str, tuple[list[str] | bytes | None, list[str]]] = {
    "missing file": (None, ["absent.csv", "clean.csv"]),
    "empty file": (b"", ["empty"]),
    "no header": (lines()[1:], ["header"]),
    "header only": (lines()[:1], ["no rows"]),
    "wrong delimiter": ([line.replace(",", "~") for line in lines()], ["delimiter"]),
    "wrong type": (changed(7, 2, "many"), ["row 7", "company_size", "'many'", "number"]),
    "duplicate id": (changed(9, 0, "L-3"), ["row 5", "lead_id", "'L-3'", "more than one row"]),
    "future time": (changed(11, 1, "2199-01-01"), ["row 11", "created_at", "future"]),
    "unreadable time": (changed(12, 1, "soon"), ["row 12", "created_at", "'soon'"]),
    "target with three values": (changed(13, 5, "maybe"), ["row 13", "converted", "'maybe'"]),
    "all-missing feature": (
        [lines()[0]] + [",".join([*line.split(",")[:2], "", *line.split(",")[3:]]) for line in lines()[1:]],
        ["company_size", "every row"],
    ),
    "vanished column": (
        [",".join(line.split(",")[:3] + line.split(",")[4:]) for line in lines()],
        ["no column 'source'"],
    ),
    "out of range": (changed(14, 2, "-99999"), ["row 14", "company_size", "below"]),
    "extra field": (changed(15, 5, "1,1"), ["row 15"]),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files_are_refused_in_a_sentence(project: Cli, case: str) -> None:
    """File, row, column, value and what to do; no snapshot is made."""
    content, words = FILES[case]
    name = "absent.csv" if content is None else write(project, f"{case.replace(' ', '_')}.csv", content)
    before = project.json("data", "show")
    said = project.refusal("data", "import", name)
    assert [word for word in [name, *words] if word not in said] == [], said
    assert said.count("\n") == 1, said
    assert project.json("data", "show") == before


def test_refused_rows_can_be_listed(project: Cli) -> None:
    """The rows of a refused file are kept with row, column, value and reason."""
    project.refusal("data", "import", write(project, "refused.csv", changed(20, 2, "lots")))
    listed = project.json("data", "quarantine")
    assert listed["import"]["file"] == "refused.csv"
    (fault,) = listed["faults"]
    assert (fault["row_number"], fault["column_name"], fault["value"]) == (20, "company_size", "lots")
    assert fault["lead_id"] == "L-18"


def test_one_class_only_cannot_be_trained(tmp_path: Path, project: Cli) -> None:
    """A file of nothing but losses is no lesson."""
    other = Cli(tmp_path)
    (tmp_path / "leadgate.yaml").write_text((project.folder / "leadgate.yaml").read_text())
    lost = [line[: line.rindex(",")] + ",0" for line in lines()[1:]]
    other.ok("data", "import", write(other, "lost.csv", [lines()[0], *lost]))
    said = other.refusal("train")
    assert "one class only" in said
    assert "400" in said


def test_init_refuses_what_it_cannot_make_a_target_of(tmp_path: Path) -> None:
    """One class, or three: the values are named, and how to choose another column."""
    other = Cli(tmp_path)
    one = [line[: line.rindex(",")] + ",0" for line in lines()[1:]]
    said = other.refusal("init", ".", "--from", write(other, "one.csv", [lines()[0], *one]))
    assert "converted" in said
    three = [line[: line.rindex(",")] + f",{i % 3}" for i, line in enumerate(lines()[1:])]
    write(other, "three.csv", [lines()[0], *three])
    said = other.refusal("init", ".", "--from", "three.csv", "--target", "converted")
    assert "three.csv" in said or "converted" in said
    assert not (tmp_path / "leadgate.yaml").exists()


def test_a_misspelt_key_names_the_nearest(tmp_path: Path, project: Cli) -> None:
    """With the line, so that an editor can jump there."""
    other = Cli(tmp_path)
    text = (project.folder / "leadgate.yaml").read_text()
    (tmp_path / "leadgate.yaml").write_text(text.replace("thresholds:", "treshholds:"))
    said = other.refusal("train")
    assert "unknown key 'treshholds'; did you mean 'thresholds'?" in said
    assert f"line {1 + text[: text.index('thresholds:')].count(chr(10))}" in said


def test_a_database_that_is_down_is_named(project: Cli, free_port: int) -> None:
    """Where it was sought, and which setting to mend."""
    url = f"postgresql://leadgate:s3cret@127.0.0.1:{free_port}/leads"
    said = project.refusal("data", "import", "clean.csv", env={"LEADGATE_DATABASE_URL": url})
    assert f"127.0.0.1:{free_port}" in said
    assert "LEADGATE_DATABASE_URL" in said
    assert "s3cret" not in said


def test_a_tracking_server_that_is_down_is_named(project: Cli, free_port: int) -> None:
    """In seconds, and with the setting to mend."""
    said = project.refusal("models", "list", env={"LEADGATE_TRACKING_URI": f"http://127.0.0.1:{free_port}"})
    assert "LEADGATE_TRACKING_URI" in said


def test_a_port_in_use_is_named(project: Cli) -> None:
    """Before anything slow is loaded."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = project.refusal("serve", "--port", str(port))
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said


def test_serving_needs_a_champion(project: Cli, free_port: int) -> None:
    """And the sentence says how to get one."""
    assert "leadgate train" in project.refusal("serve", "--port", str(free_port))


def test_other_machines_are_not_served_unasked(project: Cli) -> None:
    """Listening beyond loopback without keys has to be said out loud."""
    assert "--no-auth" in project.refusal("serve", "--host", "0.0.0.0")


def test_commands_outside_a_project_say_so(tmp_path: Path) -> None:
    """With the two ways out."""
    said = Cli(tmp_path).refusal("train")
    assert "leadgate init" in said
    assert "--project" in said


@pytest.mark.parametrize(
    ("column", "value", "says"),
    ((1, "maybe", "cannot be read"), (4, "2199-01-01", "future"), (2, "-5", "negative"), (0, "", "missing")),
)
def test_bad_outcomes_are_refused_whole(project: Cli, column: int, value: str, says: str) -> None:
    """Row, column and value; none of the file's outcomes is recorded."""
    rows = [["L-1", "1", "500", "9", "2026-02-01"], ["L-2", "0", "", "", "2026-02-01"]]
    rows[1][column] = value
    header = "lead_id,converted,deal_size,days_to_close,outcome_at"
    name = write(project, "outcomes.csv", [header, *(",".join(row) for row in rows)])
    said = project.refusal("outcomes", "import", name)
    assert "row 3" in said
    assert says in said
    good = write(project, "good.csv", [header, "L-1,1,500,9,2026-02-01"])
    assert project.json("outcomes", "import", good)["added"] in (0, 1)
