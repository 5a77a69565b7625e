"""Charts of repositories and registries: found, fetched by digest, and nothing given away on the way."""

import asyncio

import pytest
from yarl import URL

from services.poller.charts.fetching import Fetching, WrongArchiveError
from services.poller.charts.resolving import NoChartError, Resolving
from services.poller.charts.web import Grant, Web, location_of
from services.poller.permits import permits_of
from shared.fleet.locks import ARCHIVE_BYTES
from shared.git.remote import Credentials, SourceError
from shared.git.urls import UrlError, parse_url, prefix_of
from tests.support.chart_repos import ChartRegistry, ChartRepository, packed, sha256


def known(*entries):
    """Credentials by prefix, as a file of them gives them."""
    given = [Credentials(*user.split(":"), prefix_of(url, allow_insecure=True)) for url, user in entries]
    return lambda place: next((each for each in given if each.place.covers(place)), None)


NOBODY = known()


async def resolved(asked, credentials=NOBODY):
    async with Web.open(None) as web:
        return await Resolving(web, credentials).resolved(asked)


async def archive(url, content, *allow, credentials=NOBODY):
    async with Web.open(permits := permits_of((), allow)) as web:
        return await Fetching(web, permits, credentials).archive(url, sha256(content))


@pytest.mark.parametrize(
    ("asked", "version"),
    [("6.x", "6.10.0"), ("^6.2", "6.10.0"), ("6.2.0", "6.2.0"), ("6", "6.10.0"), ("*", "7.0.0"), ("v6.9.0", "6.9.0"), (">=6 <8", "7.0.0"), ("7.1.0-rc.1", "7.1.0-rc.1")],
)  # fmt: skip
@pytest.mark.parametrize("kind", [ChartRepository, ChartRegistry])
async def test_the_highest_version_of_a_range_is_chosen(chart_servers, kind, asked, version):
    server = await chart_servers(kind)
    name, repo = ("podinfo", server.url) if kind is ChartRepository else ("charts/podinfo", f"oci://{server.host}")
    contents = {each: server.add(name, each) for each in ("6.2.0", "6.10.0", "6.9.0", "7.0.0", "7.1.0-rc.1", "5.0.0")}

    locked, content = await resolved((repo, name, asked))

    assert (locked.version, locked.sha256, content) == (version, sha256(contents[version]), contents[version])
    assert await archive(locked.url, content, server.url) == content


async def test_what_there_is_not_is_said_with_what_there_is(chart_repository):
    chart_repository.add(version="6.0.0")

    with pytest.raises(NoChartError) as version:
        await resolved((chart_repository.url, "podinfo", "9.x"))
    with pytest.raises(SourceError) as chart:
        await resolved((chart_repository.url, "podinf", "6.x"))

    assert "6.0.0" in version.value.hint
    assert chart.value.hint == "it has: podinfo"


async def test_an_archive_of_another_name_is_no_answer(chart_repository):
    chart_repository.add()
    chart_repository.files["/charts/podinfo-1.0.0.tgz"] = packed("other")
    chart_repository.entries["podinfo"][0].pop("digest")
    chart_repository.add("x")

    with pytest.raises(NoChartError) as error:
        await resolved((chart_repository.url, "podinfo", "1.x"))

    assert "holds the chart other 1.0.0" in error.value.message


async def test_an_index_that_names_another_digest_is_not_believed(chart_repository):
    chart_repository.add()
    chart_repository.files["/charts/podinfo-1.0.0.tgz"] = packed(text="changed")

    with pytest.raises(WrongArchiveError):
        await resolved((chart_repository.url, "podinfo", "1.x"))


async def test_a_credential_goes_to_its_place_only(chart_servers):
    """The index is where the credential counts, the archive on another host."""
    store = await chart_servers(ChartRepository)
    store.add()
    repository = await chart_servers(ChartRepository, user="me:secret")
    content = repository.add(url=f"{store.url}/charts/podinfo-1.0.0.tgz")
    credentials = known((repository.url, "me:secret"))

    locked, _ = await resolved((repository.url, "podinfo", "1.x"), credentials)
    await archive(locked.url, content, repository.url, store.url, credentials=credentials)

    assert {bool(grant) for _, grant in repository.asked} == {True}
    assert [grant for _, grant in store.asked] == ["", ""]


async def test_a_refused_credential_is_told_without_it(chart_servers):
    repository = await chart_servers(ChartRepository, user="me:secret")
    content = repository.add()

    with pytest.raises(SourceError) as error:
        await archive(
            f"{repository.url}/charts/podinfo-1.0.0.tgz",
            content,
            repository.url,
            credentials=known((repository.url, "me:wr0ng")),
        )

    assert error.value.code == "source.auth"
    assert "wr0ng" not in str(error.value)


async def test_a_store_behind_a_registry_gets_no_credential(chart_servers):
    """Registries send people to a store of blobs on another host."""
    store = await chart_servers(ChartRepository)
    registry = await chart_servers(ChartRegistry, user="me:secret")
    content = registry.add()
    path = f"/v2/charts/podinfo/blobs/sha256:{sha256(content)}"
    store.files["/blob"] = content
    registry.moved[path] = f"{store.url}/blob?signature=x"
    credentials = known((f"{registry.url}/charts", "me:secret"))

    url = f"oci://{registry.host}/charts/podinfo:1.0.0"
    registry.moved.pop(path)
    assert await archive(url, content, registry.url, credentials=credentials) == content
    registry.moved[path] = f"{store.url}/blob?signature=x"
    assert await archive(url, content, registry.url, store.url, credentials=credentials) == content

    assert store.asked == [("/blob", "")]
    assert ("/token", "Basic bWU6c2VjcmV0") in registry.asked


async def test_who_gives_tokens_elsewhere_gets_a_credential_of_its_own_only(chart_servers):
    giver = await chart_servers(ChartRegistry, user="me:other")
    registry = await chart_servers(ChartRegistry, realm=f"{giver.url}/token")
    content = registry.add()
    url, allow = f"oci://{registry.host}/charts/podinfo:1.0.0", (registry.url, giver.url)

    with pytest.raises(SourceError) as error:
        await archive(url, content, *allow, credentials=known((registry.url, "me:secret")))
    assert error.value.code == "source.auth"
    assert giver.asked == [("/token", "")]

    credentials = known((registry.url, "me:secret"), (giver.url, "me:other"))
    assert await archive(url, content, *allow, credentials=credentials) == content


@pytest.mark.parametrize("url", ["https://[2001:db8::1]:8443/charts", "https://Charts.example.org/a%20b/"])
def test_a_credential_reaches_its_place_however_that_is_spelt(url):
    grant = Grant.basic(Credentials("me", "secret", prefix_of(url)))

    assert location_of(URL(url)) == parse_url(url)
    assert grant.place.covers(location_of(URL(url) / "podinfo-1.0.0.tgz"))


def test_a_credential_does_not_leave_its_place_through_a_hidden_slash():
    grant = Grant.basic(Credentials("me", "secret", prefix_of("https://h/team")))

    assert not grant.place.covers(location_of(URL("https://h/team%2F../other/x")))


async def test_a_redirect_to_what_stands_beside_the_hub_is_not_followed(chart_servers):
    """No repository makes the hub ask its neighbours (SSRF), by redirect or as giver of tokens."""
    neighbour = await chart_servers(ChartRepository)
    repository = await chart_servers(ChartRepository)
    content = repository.add()
    url = f"{repository.url}/charts/podinfo-1.0.0.tgz"
    targets = (
        f"{neighbour.url}/secret",
        neighbour.url.replace("127.0.0.1", "localhost") + "/secret",
        "http://[::1]:1/",
        "ftp://example.org/x",
        "file:///etc/passwd",
    )
    for target in targets:
        repository.moved["/charts/podinfo-1.0.0.tgz"] = target

        with pytest.raises(SourceError) as error:
            await archive(url, content, repository.url)
        assert error.value.code in {"source.redirect", "source.unreachable"}, target

    registry = await chart_servers(ChartRegistry, realm=f"{neighbour.url}/token")
    registry.add()
    with pytest.raises(SourceError):
        await archive(f"oci://{registry.host}/charts/podinfo:1.0.0", content, registry.url)
    assert neighbour.asked == []


async def test_a_redirect_never_ends_only_for_the_server(chart_repository):
    content = chart_repository.add()
    path = "/charts/podinfo-1.0.0.tgz"
    chart_repository.moved[path] = path

    with pytest.raises(SourceError) as error:
        await archive(chart_repository.url + path, content, chart_repository.url)

    assert error.value.code == "source.redirect"
    assert len(chart_repository.asked) < 10


async def test_the_hub_goes_only_where_its_owner_allows(chart_repository):
    content = chart_repository.add()
    path = "/charts/podinfo-1.0.0.tgz"

    for url in (chart_repository.url + path, f"oci://{chart_repository.host}/charts/podinfo:1.0.0"):
        with pytest.raises(UrlError) as error:
            await archive(url, content, "https://charts.example.org", f"{chart_repository.url}/other")
        assert error.value.code == "source.not-allowed"
    assert chart_repository.asked == []


async def test_another_archive_than_the_lock_names_is_refused(chart_repository):
    chart_repository.add()

    with pytest.raises(WrongArchiveError) as error:
        await archive(f"{chart_repository.url}/charts/podinfo-1.0.0.tgz", b"other", chart_repository.url)

    assert sha256(b"other") in error.value.message


async def test_more_than_an_archive_may_have_is_not_read(chart_repository):
    chart_repository.files["/big.tgz"] = bytes(ARCHIVE_BYTES + 1)

    with pytest.raises(SourceError) as error:
        await archive(f"{chart_repository.url}/big.tgz", b"", chart_repository.url)

    assert error.value.code == "source.too-large"


@pytest.mark.parametrize(
    ("status", "code"), [(500, "source.unreachable"), (404, "source.not-found"), (403, "source.auth")]
)
async def test_a_repository_that_fails_says_how(chart_repository, status, code):
    content = chart_repository.add()
    chart_repository.down = status

    with pytest.raises(SourceError) as error:
        await archive(f"{chart_repository.url}/charts/podinfo-1.0.0.tgz", content, chart_repository.url)

    assert error.value.code == code


async def test_what_helm_pushes_to_a_real_registry_is_found_there(helm_command, oci_registry, tmp_path):
    contents = {}
    for version in ("1.0.0", "1.2.0+build.5", "2.0.0"):
        content = packed(version=version)
        file = tmp_path / f"podinfo-{version}.tgz"
        await asyncio.to_thread(file.write_bytes, content)
        await asyncio.to_thread(helm_command, "push", file, f"oci://{oci_registry}/team/charts", "--plain-http")
        contents[version] = content

    locked, content = await resolved((f"oci://{oci_registry}/team/charts", "podinfo", "1.x"))

    assert (locked.version, locked.url) == ("1.2.0+build.5", f"oci://{oci_registry}/team/charts/podinfo:1.2.0_build.5")
    assert content == contents["1.2.0+build.5"]
    assert await archive(locked.url, content, f"http://{oci_registry}/team") == content
    with pytest.raises(SourceError) as error:
        await archive(locked.url, b"other", f"http://{oci_registry}")
    assert error.value.code == "source.not-found"


async def test_an_index_that_helm_makes_is_read(helm_command, chart_repository, tmp_path):
    charts = tmp_path / "charts"
    await asyncio.to_thread(charts.mkdir)
    for version in ("1.0.0", "1.1.0"):
        content = packed(version=version)
        await asyncio.to_thread((charts / f"podinfo-{version}.tgz").write_bytes, content)
        chart_repository.files[f"/charts/podinfo-{version}.tgz"] = content
    await asyncio.to_thread(helm_command, "repo", "index", tmp_path)
    chart_repository.files["/index.yaml"] = await asyncio.to_thread((tmp_path / "index.yaml").read_bytes)

    locked, content = await resolved((chart_repository.url, "podinfo", "^1"))

    assert (locked.version, content) == ("1.1.0", packed(version="1.1.0"))
    assert locked.url == f"{chart_repository.url}/charts/podinfo-1.1.0.tgz"
