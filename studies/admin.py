"""Registers the desk's admin pages."""

from studies.desk import account_admin, question_admin, record_admin, session_admin, study_admin

__all__ = ["account_admin", "question_admin", "record_admin", "session_admin", "study_admin"]
