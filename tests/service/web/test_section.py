"""The web section: refuses what cannot work, and answers to its own names only."""

import pytest
from pydantic import ValidationError

from seacanary.web.section import WebSection


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"public_url": "canary.example.org"}, "http://HOST"),
        ({"public_url": "ftp://canary.example.org"}, "http://HOST"),
        ({"public_url": "https://anna:pw@canary.example.org"}, "without user"),
        ({"public_url": "https://canary.example.org/?a=b"}, "no '\\?'"),
        ({"review_secret": "short"}, "16 characters"),
        ({"review_secret": "long enough to be one", "review_secret_file": "key"}, "not both"),
        ({"links_last_s": 0}, "greater than 0"),
        ({"prot": 80}, "not permitted"),
    ],
)
def test_a_section_that_cannot_work_is_refused(fault: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        WebSection.model_validate(fault)


def test_the_secret_is_not_shown() -> None:
    assert "long enough" not in repr(WebSection(review_secret="long enough to be one"))


@pytest.mark.parametrize(
    ("url", "prefix"),
    [(None, ""), ("https://a.test", ""), ("https://a.test/", ""), ("https://a.test/deep/north/", "/deep/north")],
)
def test_the_prefix_is_the_path_of_the_public_url(url: str | None, prefix: str) -> None:
    assert WebSection(public_url=url).prefix == prefix


def test_on_loopback_only_own_names_are_answered() -> None:
    hosts = WebSection(public_url="https://canary.test").allowed_hosts
    assert {"127.0.0.1", "localhost", "canary.test"} <= set(hosts)
    assert "*" not in hosts
    assert WebSection(host="0.0.0.0").allowed_hosts == ("*",)
