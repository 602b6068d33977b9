"""The addresses of the participant's way. The token in them is the participant's secret."""

from django.urls import include, path

from studies.models import QuestionMoment
from studies.participation import entry_views, trial_views, views

taking_part = [
    path("", views.resume, name="resume"),
    path("questions/before", views.answer_questions, {"moment": QuestionMoment.BEFORE},
         name="questions_before"),
    path("questions/after", views.answer_questions, {"moment": QuestionMoment.AFTER},
         name="questions_after"),
    path("screen", views.screen, name="screen"),
    path("instructions", views.instructions, name="instructions"),
    path("trials", trial_views.trials, name="trials"),
    path("next", trial_views.next_trial, name="next"),
    path("trials/<uuid:trial_id>/answer", trial_views.answer, name="answer"),
    path("trials/<uuid:trial_id>/stimulus", trial_views.stimulus, name="stimulus"),
    path("done", views.done, name="done"),
    path("withdraw", views.withdraw_participant, name="withdraw"),
    path("withdrawn", views.withdrawn, name="withdrawn"),
]
urlpatterns = [
    path("surround/<int:level>.css", trial_views.surround, name="surround"),
    path("join/<uuid:session_id>/", entry_views.landing, name="landing"),
    path("join/<uuid:session_id>/consent", entry_views.consent, name="consent"),
    path("join/<uuid:session_id>/decline", entry_views.decline, name="decline"),
    path("join/<uuid:session_id>/declined", entry_views.declined, name="declined"),
    path("take/<uuid:token>/", include(taking_part)),
]
