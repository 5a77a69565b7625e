"""What the file of `towline hub run` says reaches the programs."""

from services.cli.hub_settings import Given, hub_options
from services.poller.settings import PollerSettings
from shared.runtime.settings import read_settings

FILE = """
[sources]
fleet = "https://git.example.org/fleet.git#main"
team = "git@git.example.org:acme/team.git"
[verify]
fleet = "strict:ops+release"
"""


def test_sources_and_the_signatures_that_they_must_carry_come_from_the_file(tmp_path):
    file = tmp_path / "hub.toml"
    file.write_text(FILE)
    options = hub_options(Given(tmp_path, "", "", "", None, None, (), "", file))
    given = {"sources": options.sources, "verify": options.verify}
    settings = read_settings(PollerSettings, data=tmp_path, bus_credentials=tmp_path / "none", **given)

    assert {each.name: each.repository for each in settings.sources}["team"] == "git@git.example.org:acme/team.git"
    assert [(rule.mode, rule.signers) for rule in settings.rules("fleet")] == [("strict", ("ops", "release"))]
    assert settings.rules("team") == ()
