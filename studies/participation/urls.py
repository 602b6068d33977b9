"""The addresses of the participant's way. The token in them is the participant's secret."""

from django.urls import include, path

from studies.participation import trial_views, views

taking_part = [
    path("", views.resume, name="resume"),
    path("instructions", views.instructions, name="instructions"),
    path("trials", trial_views.trials, name="trials"),
    path("next", trial_views.next_trial, name="next"),
    path("trials/<uuid:trial_id>/answer", trial_views.answer, name="answer"),
    path("trials/<uuid:trial_id>/stimulus", trial_views.stimulus, name="stimulus"),
    path("done", views.done, name="done"),
]
urlpatterns = [
    path("surround/<int:level>.css", trial_views.surround, name="surround"),
    path("join/<uuid:session_id>/", views.landing, name="landing"),
    path("join/<uuid:session_id>/consent", views.consent, name="consent"),
    path("take/<uuid:token>/", include(taking_part)),
]
