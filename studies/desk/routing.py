from django.urls import path

from studies.desk.consumers import RenderConsumer

websocket_urlpatterns = [path("ws/renders/", RenderConsumer.as_asgi())]
