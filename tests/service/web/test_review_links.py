"""Review links: only what this station signed, only until its time is over, the same for the same alert."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from event_samples import event
from seacanary.web.review_links import LinkExpired, LinkRefused, ReviewLinks
from web_samples import NOW, PUBLIC_URL, SECRET, alert_of

LINKS = ReviewLinks(PUBLIC_URL, SECRET, ttl_s=3600)
ALERT = alert_of(event(1), event(2))


def token(name: str, links: ReviewLinks = LINKS) -> str:
    return links.links(ALERT)[name].rpartition("/")[2]


def test_an_alert_has_a_link_for_each_word_and_one_to_look() -> None:
    links = LINKS.links(ALERT)
    assert set(links) == {"confirm", "reject", "evidence"}
    assert all(link.startswith(PUBLIC_URL + "/") for link in links.values())
    assert links["evidence"] == f"{PUBLIC_URL}/events/{event(1).id}"
    assert max(map(len, links.values())) < 600


@pytest.mark.parametrize(("name", "verdict"), [("confirm", "confirmed"), ("reject", "rejected")])
def test_a_link_says_what_it_was_given_for(name: str, verdict: str) -> None:
    invitation = LINKS.read(token(name), now=NOW)
    assert invitation.verdict == verdict
    assert invitation.event_id == event(1).id
    assert (invitation.station, invitation.hydrophone) == ("station", "north")
    assert (invitation.species, invitation.rule) == ("beluga", "any-beluga")


def test_the_same_alert_always_has_the_same_links() -> None:
    assert ReviewLinks(PUBLIC_URL, SECRET, ttl_s=3600).links(ALERT) == LINKS.links(ALERT)


def test_a_link_ends_with_its_time_counted_from_the_alert() -> None:
    assert LINKS.read(token("confirm"), now=NOW + timedelta(seconds=3599))
    with pytest.raises(LinkExpired, match="13:00 UTC"):
        LINKS.read(token("confirm"), now=NOW + timedelta(seconds=3600))


def test_a_digest_and_a_station_without_public_url_give_no_links() -> None:
    assert LINKS.links(ALERT.model_copy(update={"notice": "digest", "species": None})) == {}
    assert LINKS.links(ALERT.model_copy(update={"events": ()})) == {}
    assert ReviewLinks(None, SECRET).links(ALERT) == {}


@given(place=st.integers(0, 10_000), letter=st.sampled_from("ABCxyz019-_."))
def test_a_changed_token_is_refused(place: int, letter: str) -> None:
    good = token("confirm")
    place %= len(good) - 1  # the last letter of base64 has bits that mean nothing
    bad = good[:place] + letter + good[place + 1 :]
    if bad != good:
        with pytest.raises(LinkRefused):
            LINKS.read(bad, now=NOW)


@given(text=st.text(max_size=300))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(LinkRefused):
        LINKS.read(text, now=NOW)


def test_a_token_of_another_key_is_refused() -> None:
    other = ReviewLinks(PUBLIC_URL, SecretStr("another key for tests"))
    with pytest.raises(LinkRefused):
        LINKS.read(token("confirm", other), now=NOW)


def test_what_was_signed_but_is_no_invitation_is_refused() -> None:
    class Stranger:
        def model_dump(self, *, mode: str) -> dict[str, str]:
            return {"event_id": "of a later version"}

    with pytest.raises(LinkRefused):
        LINKS.read(LINKS.token(Stranger()), now=NOW)  # type: ignore[arg-type]


def test_the_opposite_link_says_the_contrary_until_the_same_time() -> None:
    invitation = LINKS.read(token("confirm"), now=NOW)
    assert LINKS.read(LINKS.token(invitation.opposite()), now=NOW) == LINKS.read(token("reject"), now=NOW)
    assert invitation.opposite().opposite() == invitation
