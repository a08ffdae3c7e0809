"""The fields of `asked.py` from a stored form: as text, after the request, and again after a restart of the server."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from justzoomin.apps.server.asked import MAX_RASTER_BYTES, AskedFields
from justzoomin.errors import ConfigError
from justzoomin.geometry import ZoomGrid
from justzoomin.service import Asked

FILES = ("prior_raster",)
"""Fields that are files."""


def asked_of(fields: Mapping[str, str], files: Mapping[str, Path], grid: ZoomGrid) -> Asked:
    """Return what the fields of a form ask for. An empty field counts as missing.

    Args:
        fields: Texts of the fields.
        files: Stored files of the fields in `FILES`.
        grid: The grid that is searched.

    Raises:
        ConfigError: If a field is wrong or unknown.
    """
    values = checked(fields_model(), fields)
    raster = b""
    if "prior_raster" in files:
        with files["prior_raster"].open("rb") as file:
            raster = file.read(MAX_RASTER_BYTES + 1)
    return AskedFields(**values).asked(raster, grid)


def checked(model: type[BaseModel], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the fields that are not empty.

    Raises:
        ConfigError: If a field is wrong or unknown.
    """
    try:
        return model.model_validate({name: text for name, text in fields.items() if text}).model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:100] or "form"
        unknown = first["type"] == "extra_forbidden"
        raise ConfigError(where, "unknown field" if unknown else first["msg"].removeprefix("Value error, "),
                          f"The fields are {', '.join(model.model_fields)}." if unknown else
                          "See /docs for the fields of this request.") from error


@cache
def fields_model() -> type[BaseModel]:
    """Return the text fields of a photo as a model, with the bounds and descriptions of `AskedFields`."""
    parameters = inspect.signature(AskedFields, eval_str=True).parameters
    fields: dict[str, Any] = {name: (p.annotation, p.default) for name, p in parameters.items() if name not in FILES}
    return create_model("PhotoFields", __config__=ConfigDict(extra="forbid"), **fields)


def form_schema(model: type[BaseModel], files: Mapping[str, str], photos: str) -> dict[str, Any]:
    """Return the request body of a form for OpenAPI.

    Args:
        model: Its text fields.
        files: Descriptions of the fields that are files.
        photos: Description of the photos.
    """
    schema = model.model_json_schema()
    binary = {"type": "string", "format": "binary"}
    properties = {"photos": {"type": "array", "items": binary, "description": photos},
                  **{name: {**binary, "description": words} for name, words in files.items()}, **schema["properties"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "required": ["photos"], "properties": properties}}}}}
