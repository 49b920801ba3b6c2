import pytest

from bartizan.features.links import known, links_of, site_of
from bartizan.types import Interaction, Origin, Part, PartKind, Principal, Step


def found(text: str, kind: PartKind = PartKind.TEXT):
    return links_of(Part(kind, Origin.MODEL, text=text))


@pytest.mark.parametrize(
    ("text", "fetched"),
    [
        ("![a](https://x.test/b)", True),
        ("[a](https://x.test/b)", False),
        ("[![a](https://x.test/b)](https://y.test/c)", True),
        ("<img src=https://x.test/b>", True),
        ("<a href='https://x.test/b'>", False),
        ("url(https://x.test/b)", True),
        ("<https://x.test/b>", False),
        ("see https://x.test/b.", False),
        ("![a][1] [1]: https://x.test/b", True),
        ("[a][1] [1]: https://x.test/b", False),
    ],
)
def test_who_loads_an_address_shows_in_what_stands_before_it(text, fetched):
    first = found(text)[0]
    assert (first.host, first.tail, first.fetched) == ("x.test", "/b", fetched)


def test_an_address_is_taken_apart():
    (link,) = found("go https://User:pw@data.more.Example.co.uk:8443/p/q?r=s#t now")
    assert (link.host, link.site, link.tail) == ("data.more.example.co.uk", "example.co.uk", "/p/q?r=s#t")
    assert link.labels == "User:pw.data.more"
    assert link.complete


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("a.example.co.uk", "example.co.uk"),
        ("10.0.0.1", "10.0.0.1"),
        ("localhost", "localhost"),
        ("", ""),
    ],
)
def test_the_registrable_part_of_a_host(host, site):
    assert site_of(host) == site


def test_only_operator_and_user_make_a_site_trusted():
    context = tuple(
        Part(PartKind.TEXT, origin, text=f"https://www.{origin.name.lower()}.test/a") for origin in Origin
    )
    seen = known(Interaction("1", "s", Step.RESPONSE, Principal("p", "address"), (), context))
    assert seen.trusted == {"operator.test", "user.test"}
    assert seen.tails["www.web.test"] == {"/a"}
