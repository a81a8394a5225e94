"""Commands about versions and the snapshots that they were made of."""

import json

from commands import Cli


def test_a_version_is_made_again_by_a_command(project_by_commands: Cli) -> None:
    """Exit code 0 and the sentence for people, all that was compared for programs; a version unknown is a mistake."""
    found = project_by_commands.json("models", "reproduce", "champion")
    assert (found["version"], found["verdict"]) == ("1", "identical")
    assert all(result["same"] for result in found["results"])
    entries = project_by_commands.ok("audit", "list", "--act", "model.reproduce", "--json")
    assert json.loads(entries)[0]["subject"] == "lead-scoring version 1"
    assert "no version '99'" in project_by_commands.refusal("models", "reproduce", "99")


def test_what_is_missing_ends_with_three(project_by_commands: Cli) -> None:
    """A script can tell it from a version that is another; the table says what to do."""
    elsewhere = str(project_by_commands.folder / "nowhere")
    done = project_by_commands.run("models", "reproduce", "1", env={"LEADGATE_SNAPSHOTS_URI": elsewhere})
    assert done.returncode == 3
    assert "There is no snapshot 0 (known: none)" in done.stdout
    assert "Traceback" not in done.stderr


def test_snapshots_are_compared_listed_with_who_needs_them_and_cleared(project_by_commands: Cli) -> None:
    """A corrected label stands out; a snapshot that two versions need stays; without --yes nothing is removed."""
    lines = (project_by_commands.folder / "leads.csv").read_text().splitlines()
    won = next(line for line in lines if line.endswith(",true"))
    later = project_by_commands.folder / "later.csv"
    later.write_text(f"{lines[0]}\n{won.removesuffix('true')}false\n")
    project_by_commands.ok("data", "import", "later.csv")
    found = project_by_commands.json("data", "diff", "0", "1")
    assert (found["changed"], found["added"], found["columns"]) == (1, 0, {"converted": 1})
    assert found["labels"] == [{"before": True, "after": False, "leads": 1}]
    assert "a KNOWN outcome changed" in project_by_commands.ok("data", "diff", "0", "1", "--rows", "1")
    assert "no snapshot 7; known: 0, 1" in project_by_commands.refusal("data", "diff", "0", "7")
    needed = project_by_commands.json("data", "show", "--needed")
    assert [(each["snapshot"]["version"], each["versions"]) for each in needed] == [(0, ["1", "2"]), (1, [])]
    look = project_by_commands.json("data", "vacuum", "--days", "0")
    assert (look["removed"], look["files"], look["kept"], look["lost"]) == (False, 0, [0, 1], [])
