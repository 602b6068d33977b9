"""Static files under hashed names, native JavaScript modules included."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hash the relative imports inside modules too, so that no page mixes two versions."""

    support_js_module_import_aggregation = True


class StaticMiddleware(WhiteNoiseMiddleware):
    """Send static files whole: under ASGI, Django reads a file's pieces before the first leaves."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        content = b"" if found.file is None else found.file.read()
        if found.file is not None:
            found.file.close()
        response = HttpResponse(content, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response
