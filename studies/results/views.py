"""Results for staff: the list of studies, a study's page, its CSV and its figure."""

from uuid import UUID

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from studies.analysis.figures import FORMATS, draw_figure
from studies.models import Study
from studies.results.export import csv_chunks, streamed
from studies.results.longtable import COLUMNS, long_rows
from studies.results.studies import with_counts
from studies.results.summary import summarise
from studies.results.wording import panels, report

# matplotlib styles its SVG inline. The file is ours, holds no script and may load nothing.
_FIGURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@require_safe
@staff_member_required
@never_cache
def studies(request: HttpRequest) -> HttpResponse:
    return render(request, "results/studies.html", {"studies": with_counts(Study.objects.all())})


@require_safe
@staff_member_required
@never_cache
def results(request: HttpRequest, study_id: UUID) -> HttpResponse:
    summary = summarise(_study(study_id))
    reports = [report(contrast) for contrast in summary.contrasts]
    return render(request, "results/study.html",
                  {"study": summary.study, "summary": summary, "reports": reports})


@require_safe
@staff_member_required
@never_cache
def responses_csv(request: HttpRequest, study_id: UUID) -> StreamingHttpResponse:
    study = _study(study_id)
    chunks = csv_chunks(COLUMNS, long_rows(study))
    return StreamingHttpResponse(
        streamed(chunks), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{_file_name(study)}.csv"'},
    )


@require_safe
@staff_member_required
@never_cache
def figure(request: HttpRequest, study_id: UUID, file_format: str) -> HttpResponse:
    study = _study(study_id)
    drawn = panels(summarise(study))
    if file_format not in FORMATS or not drawn:
        raise Http404("There is no such figure, or no answer to draw yet.")
    name = f"{_file_name(study)}.{file_format}"
    return HttpResponse(
        draw_figure(drawn, file_format), content_type=FORMATS[file_format],
        headers={"Content-Disposition": f'inline; filename="{name}"',
                 "Content-Security-Policy": _FIGURE_POLICY},
    )


def _study(study_id: UUID) -> Study:
    return get_object_or_404(Study.objects.select_related("model", "predictor"),
                             public_id=study_id)


def _file_name(study: Study) -> str:
    return f"{slugify(study.name) or 'study'}-v{study.version}"
