from django.urls import path

from studies.results import views

urlpatterns = [
    path("", views.studies, name="results_list"),
    path("<uuid:study_id>/", views.results, name="results"),
    path("<uuid:study_id>/responses.csv", views.responses_csv, name="results_csv"),
    path("<uuid:study_id>/figure.<str:file_format>", views.figure, name="results_figure"),
]
