"""Counts of related rows, for lists."""

from django.db.models import Count, IntegerField, QuerySet, Subquery
from django.db.models.functions import Coalesce


def counted(rows: QuerySet, group: str) -> Coalesce:
    """Count the rows of one group in a subquery: joining several relations multiplies them."""
    counts = rows.order_by().values(group).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)
