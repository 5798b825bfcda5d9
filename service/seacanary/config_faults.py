"""Configuration mistakes in words: where in the file, what stands there, what would be right."""

import difflib
from collections.abc import Sequence
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

# Annotations and pydantic's fault details have no closer type than Any.
_SECRET = ("password", "secret", "token", "url", "headers")
_LONGEST_SHOWN = 80


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Each fault as one line: path, value, and what would be right.

    Args:
        error: from validating `model`.
        model: the root of the configuration.
    """
    return [_describe(fault, model) for fault in error.errors(include_url=False)]


def _describe(fault: Any, model: type[BaseModel]) -> str:
    path, parent = _walk(fault["loc"], model)
    name = ".".join(path) or "(top level)"
    match fault["type"]:
        case "missing":
            return f"{name}: missing; it is required{_about(path, parent)}"
        case "extra_forbidden":
            return f"{name}: unknown field, got {_shown(path, fault['input'])}{_suggestion(path, parent)}"
        case "union_tag_not_found":
            return f"{name}: kind is missing; expected one of {_kinds(parent, path)}"
        case "union_tag_invalid":
            context = fault["ctx"]
            return f"{name}.kind: got '{context['tag']}', expected one of {context['expected_tags']}"
        case _:
            message = fault["msg"].removeprefix("Value error, ")
            if not path:  # of the whole file: the message names what it is about
                return str(message)
            return f"{name}: got {_shown(path, fault['input'])}: {message}{_about(path, parent)}"


def _walk(location: Sequence[int | str], model: type[BaseModel]) -> tuple[list[str], Any]:
    """The path as the file has it (without union tags), and the annotation its last step is in."""
    path: list[str] = []
    parent: Any = None
    here: Any = model
    for step in location:
        here, is_tag = _unwrapped(here), False
        inside = _inside(here, step)
        if isinstance(step, str) and _is_union(here):
            is_tag = True
        if not is_tag:
            path.append(str(step))
            parent = here
        here = inside
    return path, parent


def _unwrapped(annotation: Any) -> Any:
    """Without Annotated and without `| None`."""
    if hasattr(annotation, "__metadata__"):
        return _unwrapped(get_args(annotation)[0])
    members = [member for member in get_args(annotation) if member is not NoneType]
    if _is_union(annotation) and len(members) == 1:
        return _unwrapped(members[0])
    return annotation


def _is_union(annotation: Any) -> bool:
    return "Union" in getattr(get_origin(annotation), "__name__", "")


def _inside(annotation: Any, step: int | str) -> Any:
    """The annotation one step further in; None where it cannot be told."""
    arguments = get_args(annotation)
    if _is_model(annotation):
        field = annotation.model_fields.get(step)
        return field.annotation if field else None
    if _is_union(annotation):
        tagged = [member for member in arguments if _is_model(member) and _kind(member) == step]
        return tagged[0] if tagged else None
    if get_origin(annotation) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _kind(section: type[BaseModel]) -> object:
    field = section.model_fields.get("kind")
    return field.default if field else None


def _kinds(parent: Any, path: Sequence[str]) -> str:
    inside = _unwrapped(_inside(parent, 0 if path and path[-1].isdigit() else path[-1]))
    return ", ".join(f"'{_kind(member)}'" for member in get_args(inside) if _is_model(member))


def _shown(path: Sequence[str], value: object) -> str:
    if any(word in step for step in path for word in _SECRET):
        return "a value not shown here"
    if isinstance(value, dict):  # what is wrong with a whole section may stand beside a secret
        return f"a section of {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _about(path: Sequence[str], parent: Any) -> str:
    """What the field is for, as its section says."""
    if path and _is_model(parent) and path[-1] in parent.model_fields:
        description = parent.model_fields[path[-1]].description
        return f" ({description})" if description else ""
    return ""


def _suggestion(path: Sequence[str], parent: Any) -> str:
    known = list(parent.model_fields) if _is_model(parent) else []
    close = difflib.get_close_matches(path[-1], known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known fields are {', '.join(known)}" if known else ""
