"""ReviewLinks: signed links that let whoever got an alert say whether it was right."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer
from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError

from seacanary.errors import SeaCanaryError
from seacanary.station_events import AlertEvent, Verdict
from seacanary.web.section import DAY_S

# Part of every signature: what the same key signs elsewhere is no review link.
SALT = "seacanary.review.v1"
LINK_VERDICTS: Mapping[str, Verdict] = {"confirm": "confirmed", "reject": "rejected"}


class LinkRefused(SeaCanaryError):
    """A link that this station did not give out, or that was changed on the way."""


class LinkExpired(LinkRefused):
    """A link of this station whose time is over."""


class Invitation(BaseModel):
    """What a link allows: to say one thing of one event until a certain time."""

    model_config = ConfigDict(frozen=True)

    event_id: UUID
    station: str
    hydrophone: str
    species: str
    rule: str | None
    verdict: Verdict
    until: AwareDatetime

    def opposite(self) -> Self:
        """The same, to say the contrary: every alert carries both."""
        return self.model_copy(update={"verdict": "rejected" if self.verdict == "confirmed" else "confirmed"})


class ReviewLinks:
    """Signs invitations and reads them back.

    The time of expiry is counted from the alert, not from the signing, so that an alert always has the same
    links: a webhook tried again sends the same bytes.
    """

    def __init__(self, base_url: str | None, secret: SecretStr, *, ttl_s: float = 7 * DAY_S) -> None:
        """Prepare.

        Args:
            base_url: public URL of the web server, without a slash at its end; None: give out no links.
            secret: the key.
            ttl_s: how long after an alert its links can be used.
        """
        self._base_url, self._ttl = base_url, timedelta(seconds=ttl_s)
        self._serializer = URLSafeSerializer(
            secret.get_secret_value(),
            salt=SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def links(self, alert: AlertEvent) -> dict[str, str]:
        """Links for an alert's message: confirm, reject and evidence; none for a digest, or without a base URL."""
        if self._base_url is None or not alert.events or alert.species is None:
            return {}
        links = {
            name: f"{self._base_url}/review/{self._token(alert, verdict)}" for name, verdict in LINK_VERDICTS.items()
        }
        return {**links, "evidence": f"{self._base_url}/events/{alert.events[0]}"}

    def token(self, invitation: Invitation) -> str:
        """Sign an invitation."""
        return str(self._serializer.dumps(invitation.model_dump(mode="json")))

    def read(self, token: str, *, now: datetime) -> Invitation:
        """What a token allows.

        Raises:
            LinkExpired: it was given out here, and its time is over.
            LinkRefused: it was not given out here.
        """
        try:
            invitation = Invitation.model_validate(self._serializer.loads(token))
        except (BadData, ValidationError) as exc:
            raise LinkRefused("This link was not given out by this station, or it was changed on the way.") from exc
        if now >= invitation.until:
            raise LinkExpired(f"This link could be used until {invitation.until:%Y-%m-%d %H:%M} UTC.")
        return invitation

    def _token(self, alert: AlertEvent, verdict: Verdict) -> str:
        return self.token(
            Invitation(
                event_id=alert.events[0],
                station=alert.station,
                hydrophone=alert.hydrophones[0] if alert.hydrophones else "",
                species=alert.species or "",
                rule=alert.rule,
                verdict=verdict,
                until=alert.at + self._ttl,
            )
        )
