"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from budgetstudy import front, health

urlpatterns = [
    path("", front.front, name="front"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("results/", include("studies.results.urls")),
    path("", include("studies.participation.urls")),
]

handler400 = "budgetstudy.problems.bad_request"
handler403 = "budgetstudy.problems.permission_denied"
handler404 = "budgetstudy.problems.page_not_found"
handler500 = "budgetstudy.problems.server_error"
