"""The ASGI application: HTTP to Django, WebSockets to Channels."""

import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "budgetstudy.settings")
django.setup(set_prefix=False)

# Importable only once Django is set up.
from budgetstudy.bodies import BodyLimit  # noqa: E402
from budgetstudy.embedded import start_servers  # noqa: E402
from budgetstudy.handlers import ThreadedHandler  # noqa: E402
from studies.desk.routing import websocket_urlpatterns  # noqa: E402

# Fewer than the connections in the database's pool, so that no request waits for one.
NUM_THREADS = 10

start_servers()
application = ProtocolTypeRouter(
    {
        "http": BodyLimit(
            ThreadedHandler(num_threads=NUM_THREADS),
            most_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            most_upload_bytes=settings.MOST_UPLOAD_BYTES,
        ),
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
