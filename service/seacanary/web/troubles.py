"""Troubles: what the API says when it cannot give what was asked for, as OpenAPI describes it."""

from typing import Any, TypeAlias

from pydantic import BaseModel


class Trouble(BaseModel):
    """Why not."""

    detail: str


# OpenAPI's description of answers: free-form by FastAPI's own type.
Answers: TypeAlias = dict[int | str, dict[str, Any]]
AILING: Answers = {503: {"model": Trouble, "description": "the journal cannot be used now"}}
MISSING: Answers = {404: {"model": Trouble, "description": "there is none"}}
