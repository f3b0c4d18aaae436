"""Checks requests and responses against Box's own specification (box-openapi.json, whose `info` names its source).

The specification is OpenAPI 3.0. JSON Schema does not have its `nullable`; `_as_json_schema` translates it. SLIPS lists, with
reasons, where the specification contradicts itself or the known responses of Box: no other deviation is accepted. Fields that
are not in the specification are complaints, too, unless UNNAMED lists them.
"""

import datetime
import functools
import json
import pathlib
import re
import urllib.parse

import jsonschema

SPEC = json.loads(pathlib.Path(__file__).with_name("box-openapi.json").read_text())
SCHEMAS = SPEC["components"]["schemas"]
METHODS = ("get", "post", "put", "delete", "options")
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in SPEC["paths"].items()
    for method, operation in operations.items()
    if method in METHODS
}

# (schema, property): values that the specification forbids but Box sends.
SLIPS = {
    # Error codes that are not in the enum. Box's own list of common errors has them.
    ("ClientError", "code"): {"type": "string"},
    # Box sends null for these, as samples of real events and Box's SDK fixtures show.
    ("Event", "session_id"): {"type": "string", "nullable": True},
    ("Event", "additional_details"): {"type": "object", "nullable": True},
    ("User--Full", "external_app_user_id"): {"type": "string", "nullable": True},
    ("Group--Full", "provenance"): {"type": "string", "nullable": True},
    ("Group--Full", "external_sync_identifier"): {"type": "string", "nullable": True},
    # The names differ: real events have MULTI_FACTOR_AUTH_ENABLE, the enum has ENABLE_MULTI_FACTOR_AUTH.
    ("Event", "event_type"): {"type": "string"},
}
# The schema requires it and no schema defines it. Box's own SDK does not send it.
del SCHEMAS["PostOAuth2Revoke"]["required"]

# Fields of real responses that are not in the specification.
UNNAMED = {
    # Real events have both, and Box's changelog announces `action_by`.
    "Event": {"ip_address", "action_by"},
    # Box added it after the date of the stored specification (box/box-openapi#613).
    "User--Full": {"is_collaborated_content_available_when_owner_inactive"},
    # By the schema, the entries of a folder are mini folders. By its text, `fields` can request any field of a complete folder.
    "Folder--Mini": {"owned_by", "has_collaborations", "size"},
}


def _apply_slips():
    for (name, key), schema in SLIPS.items():
        owner = SCHEMAS[name]
        parts = [owner, *owner.get("allOf", [])]
        found = [part for part in parts if key in part.get("properties", {})]
        assert found, f"{name}.{key} is in the specification no more"
        found[0]["properties"][key] = schema


_apply_slips()


def _as_json_schema(schema):
    if isinstance(schema, list):
        return [_as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    translated = {key: _as_json_schema(value) for key, value in schema.items() if key != "nullable"}
    # Half of the event sources match several branches (GenericSource matches every object), so `one` can only mean `any`.
    if "oneOf" in translated:
        translated["anyOf"] = translated.pop("oneOf")
    if schema.get("nullable") is True:
        return {"anyOf": [translated, {"type": "null"}]}
    return translated


FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(text):
    if not isinstance(text, str):
        return True
    if not re.search(r"T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", text):
        return False
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) is not None


@FORMATS.checks("email")
def _is_email(text):
    return not isinstance(text, str) or text == "" or text.count("@") == 1


@FORMATS.checks("int64")
def _is_int64(number):
    return not isinstance(number, int) or -(2**63) <= number < 2**63


@functools.cache
def _validator(text):
    schema = {**_as_json_schema(json.loads(text)), "components": _as_json_schema(SPEC["components"])}
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS)


def complaints(schema, value):
    """The errors of a value, as readable lines."""
    errors = _validator(json.dumps(schema)).iter_errors(value)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors] + list(_unnamed(schema, value, "$"))


def _unnamed(schema, value, path):
    """Fields that no schema names, at any depth."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        allowed = UNNAMED.get(name, set())
        if isinstance(value, dict):
            value = {key: field for key, field in value.items() if key not in allowed}
        yield from _unnamed(SCHEMAS[name], value, path)
        return
    if isinstance(value, list):
        for n, item in enumerate(value):
            yield from _unnamed(schema.get("items", {}), item, f"{path}[{n}]")
    if not isinstance(value, dict):
        return
    branches = schema.get("oneOf") or schema.get("anyOf")
    if branches:
        found = [list(_unnamed(branch, value, path)) for branch in branches if not complaints_of_type(branch, value)]
        if found and all(found):
            yield from min(found, key=len)
        return
    properties, is_open = _properties(schema)
    for key, field in value.items():
        if key in properties:
            yield from _unnamed(properties[key], field, f"{path}.{key}")
        elif properties and not is_open:
            yield f"{path}.{key}: not in the specification"


def complaints_of_type(schema, value):
    return list(_validator(json.dumps(schema)).iter_errors(value))


def _properties(schema):
    """The properties of a schema and its parts, and whether other properties are allowed."""
    if "$ref" in schema:
        return _properties(SCHEMAS[schema["$ref"].rsplit("/", 1)[-1]])
    properties, is_open = dict(schema.get("properties", {})), "additionalProperties" in schema
    for part in schema.get("allOf", []):
        inner, inner_open = _properties(part)
        properties.update(inner)
        is_open = is_open or inner_open
    return properties, is_open


def operation_of(method, path):
    """Id of the operation of a request. The most literal path wins, as `/users/me` over `/users/{user_id}`."""
    path = path.removeprefix("/2.0")
    fitting = []
    for name, (its_method, template, _) in OPERATIONS.items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if its_method == method and re.fullmatch(pattern, path):
            fitting.append((template.count("{"), name))
    return min(fitting)[1] if fitting else None


def complaints_of_query(name, query):
    """The errors in the query of a request: unknown parameters, wrong types, values above a limit."""
    declared = {p["name"]: p for p in OPERATIONS[name][2].get("parameters", []) if p["in"] == "query"}
    for key, text in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if key not in declared:
            yield f"{name}: no parameter {key}"
            continue
        schema = declared[key]["schema"]
        try:
            value = _from_text(schema, text)
        except ValueError:
            yield f"{name}: {key}={text} is no {schema['type']}"
            continue
        for complaint in complaints(schema, value):
            yield f"{name}: {key}={text} {complaint}"


def _from_text(schema, text):
    kind = schema.get("type")
    if kind == "integer":
        return int(text)
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "array":
        return text.split(",")
    return text


def complaints_of_body(name, content_type, body):
    """The errors in the body of a request."""
    contents = OPERATIONS[name][2].get("requestBody", {}).get("content", {})
    if not contents:
        return [f"{name}: takes no body"] if body else []
    declared = next((schema for kind, schema in contents.items() if content_type.startswith(kind)), None)
    if declared is None:
        return [f"{name}: {content_type} is none of {list(contents)}"]
    if content_type.startswith("multipart/"):
        return []
    text = body.decode() if isinstance(body, bytes) else body
    value = dict(urllib.parse.parse_qsl(text)) if "urlencoded" in content_type else json.loads(text)
    return [f"{name}: {complaint}" for complaint in complaints(declared["schema"], value)]


def complaints_of_answer(name, status, content_type, body):
    """The errors in a response."""
    responses = OPERATIONS[name][2]["responses"]
    declared = responses.get(str(status)) or responses.get("default")
    contents = declared.get("content", {})
    if not contents:
        return [f"{name} {status}: a body where there is none"] if body else []
    schema = contents.get("application/json", {}).get("schema")
    if schema is None:
        return [] if content_type.startswith("image/") and body else [f"{name} {status}: no image"]
    if not content_type.startswith("application/json"):
        return [f"{name} {status}: {content_type}"]
    return [f"{name} {status}: {complaint}" for complaint in complaints(schema, json.loads(body))]
