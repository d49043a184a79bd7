"""A plugin in Python: greets tenants towards the upstream, answers those it does not know, and signs responses.

It is built with componentize-py from nothing but the contract in `wit/`; there is no SDK for Python.
"""

import json
import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import configuring, log, request, response
from wit_world.imports.types import (
    ChangeError_Forbidden,
    Failure,
    Flow_Next,
    Flow_Respond,
    HeaderLine,
    HeaderName_Text,
    LocalResponse,
)

# One instance serves many configurations.
PLACES = {}


class Lifecycle(exports.Lifecycle):
    def configure(self, config_id: int, config: str) -> None:
        settings = json.loads(config)
        unknown = set(settings) - {"greeting", "tenants"}
        if unknown:
            raise Err(f"`{unknown.pop()}` is no key of this plugin")
        if settings["greeting"] == "too early":
            request.path()
        PLACES[config_id] = (settings["greeting"], set(settings["tenants"]))

    def unconfigure(self, config_id: int) -> None:
        del PLACES[config_id]


class RequestFilter(exports.RequestFilter):
    def on_request(self, config_id, prefetched):
        greeting, tenants = PLACES[config_id]
        value = request.header(HeaderName_Text("x-tenant-id"))
        tenant = value.decode() if value else None
        if tenant == "raise":
            raise RuntimeError("raised as told")
        if tenant == "fail":
            request.set_header(HeaderName_Text("x-changed"), b"yes")
            raise Err(Failure("failed as told"))
        if tenant == "hoard":
            answers = [LocalResponse(200, [], b"") for _ in range(9)]
            return Flow_Respond(answers[0])
        if tenant == "spin":
            while True:
                pass
        if tenant == "print":
            print("a line of Python", flush=True)
        if tenant == "late":
            configuring.leave_out(configuring.Filter.REQUEST)
        if tenant == "files":
            request.set_header(HeaderName_Text("x-result"), knock().encode())
            return Flow_Next()
        if tenant not in tenants:
            body = json.dumps({"title": "Unknown tenant.", "path": request.path()}).encode()
            return Flow_Respond(LocalResponse(403, [HeaderLine("content-type", b"application/problem+json")], body))
        request.set_header(HeaderName_Text("x-hello"), f"{greeting} {tenant}".encode())
        try:
            request.set_header(HeaderName_Text("content-length"), b"0")
        except Err as error:
            assert isinstance(error.value, ChangeError_Forbidden)
            log.write(log.Level.INFO, "content-length is not mine")
        return Flow_Next()


class ResponseFilter(exports.ResponseFilter):
    def on_response(self, config_id):
        response.set_header(HeaderName_Text("x-python"), f"{request.method()} {response.status()}".encode())
        return Flow_Next()


def knock() -> str:
    """What the operating system's doors answer."""
    try:
        with open("/etc/hostname", encoding="utf-8") as file:
            return f"read {file.read()}"
    except OSError as error:
        return f"denied: {type(error).__name__}, {len(os.environ)} variables"
