"""The demo tells the plan's whole story: what a newcomer sees first has to be true."""

from commands import Cli


def test_a_good_challenger_reaches_full_and_a_bad_one_comes_back(cli: Cli) -> None:
    """Four stages and the end of the watch for the one, a rollback for harm for the other, each step in the records."""
    said = cli.ok("demo", "demo", patience_s=1_200)
    folder = ("--project", "demo")
    bad, good = cli.json("rollout", "list", *folder)
    assert (good["state"]["stage"], good["state"]["finished"]) == ("full", True)
    assert bad["state"]["stage"] == "rolled_back"
    steps = [
        (s["act"], s["stage"])
        for s in cli.json("rollout", "history", "--rollout", str(good["rollout"]["rollout_id"]), *folder)["steps"]
    ]
    assert [s for s in steps if s[0] != "extend"] == [
        ("start", "shadow"),
        ("advance", "canary"),
        ("advance", "ab_test"),
        ("advance", "full"),
        ("finish", "full"),
    ]
    (mortem,) = cli.json("rollout", "history", *folder)["post_mortems"]
    assert "fewer leads convert" in mortem["cause"]
    versions = {v["version"]["version"]: v["version"] for v in cli.json("models", "list", *folder)}
    assert "champion" in versions["2"]["aliases"]
    assert [name for name, v in versions.items() if "archived_at" in v["tags"]] == ["1", "3"]
    (route, *_) = cli.json("route", "show", *folder)
    assert (route["champion"], route["challenger"]) == ("2", None)
    assert cli.json("audit", "verify", *folder)["entries"] > 10
    assert "chain whole" in said
