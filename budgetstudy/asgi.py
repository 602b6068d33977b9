"""The ASGI application: HTTP to Django, WebSockets to Channels."""

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "budgetstudy.settings")
django_application = get_asgi_application()

# Importable only once Django is set up.
from budgetstudy.embedded import start_servers  # noqa: E402
from studies.desk.routing import websocket_urlpatterns  # noqa: E402

start_servers()
application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
