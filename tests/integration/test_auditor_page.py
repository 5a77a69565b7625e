from html.parser import HTMLParser

import pytest

from services.auditor import facts, fold
from services.auditor.ui.pages import seconds
from shared.core.status import Result
from shared.messages.renders import Problem
from tests.support import line_messages as line
from tests.support.auditor_app import TOKEN, bearer, serving

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "</time></li><svg/onload=alert(1)>",
    "\u202egnp.exe\u200b",
    "\x1b]0;owned\x07",
)


class Elements(HTMLParser):
    """Notes every element and attribute, and all text."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self.attributes.update(f"{name}={value}" for name, value in attrs if name in {"href", "src"})

    def handle_data(self, data):
        self.text += data


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path) as found:
        yield found


async def page(client):
    answer = await client.get("/", headers=bearer())
    assert answer.status == 200, await answer.text()
    found = Elements()
    found.feed(await answer.text())
    return found


async def everything(store, text, number=1):
    """Write `text` wherever somebody else can put it, over what was written with a lower number."""
    place = {("c1", "web"): "a"}
    hostile = Problem(code=text, message=text, file=text, hint=text)
    rendered = line.rendered(number, {**place, ("c2", "web"): hostile}, problems=(hostile,))
    at = line.at(number + 0.9)
    failed = line.report("c1", "web", number, result=Result.FAILED, message=text, reason=text)
    written = await store.write(
        [
            fold.of_cluster(line.cluster("c1", second=number, labels={text: text}, pending={text: text})),
            fold.of_cluster(line.cluster("c2", second=number)),
            fold.of_revision(line.revision(number, subject=text, ref=text)),
            fold.of_rendered(rendered, rendered.listing),
            facts.of_fact(line.released(number, place)),
            facts.of_fact(line.fact("source-failed", number, source=text, message=text, data={"code": text})),
            facts.of_fact(line.fact("held", number, app=text, message=text, data={"id": text, "approval": text})),
            fold.of_report(failed, at),
            fold.of_status(line.status("c1", {text: (1, "Synced", "Failed")}, second=4), at),
        ]
    )
    assert len(written) == 9


async def test_an_empty_fleet_says_what_to_do_first(served):
    found = await page(served[0])

    assert "towline cluster add NAME" in found.text


async def test_the_page_shows_what_is_wrong_with_file_and_line(served):
    client, parts, _ = served
    rendered = line.rendered(1, {("c1", "web"): line.problem()})
    await parts.store.write([fold.of_cluster(line.cluster("c1")), fold.of_rendered(rendered, rendered.listing)])

    found = await page(client)

    assert "c1/web" in found.text
    assert "apps/web/app.yaml:3:7: mapping values are not allowed" in found.text


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_stays_text(served, text):
    client, parts, _ = served
    plain = await page(client)
    await everything(parts.store, "harmless")
    harmless = await page(client)

    await everything(parts.store, text, number=2)
    found = await page(client)

    assert found.text.count(text) >= harmless.text.count("harmless") > 5
    assert found.tags <= plain.tags | harmless.tags
    assert found.attributes <= plain.attributes | harmless.attributes


async def test_the_page_has_no_inline_script_or_style(served):
    client, parts, _ = served
    await everything(parts.store, "x")

    found = await page(client)

    assert "src=/static/live.js" in found.attributes
    assert not [name for name in found.attributes if name == "style" or name.startswith("on")]
    assert "style" not in found.tags


async def test_a_stranger_with_a_browser_is_sent_to_the_login(served):
    client, _, _ = served

    answer = await client.get("/", headers={"Accept": "text/html"}, allow_redirects=False)

    assert (answer.status, answer.headers["Location"]) == (303, "/login")


async def test_the_login_form_opens_the_page_without_scripts(served):
    client, _, _ = served

    answer = await client.post("/session", data={"token": TOKEN})

    assert answer.status == 200
    assert "Wrong now" in await answer.text()


@pytest.mark.parametrize("name", ["towline.css", "live.js", "login.js"])
async def test_static_files_are_served_with_their_types(served, name):
    answer = await served[0].get(f"/static/{name}")

    assert answer.status == 200
    assert answer.content_type in {"text/css", "text/javascript"}


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (None, None, ""),
        ("2026-11-24T12:00:00.000Z", None, ""),
        ("2026-11-24T12:00:00.000Z", "2026-11-24T12:00:01.250Z", "1.2 s"),
        ("2026-11-24T12:00:02.000Z", "2026-11-24T12:00:01.000Z", "0.0 s"),
        ("2026-11-24T12:00:00.000Z", "2026-11-24T12:10:00.000Z", "10 min"),
    ],
)
def test_times_between_stages_are_short(start, end, shown):
    assert seconds(start, end) == shown
