"""Names that the exported tables use themselves, so that a question cannot have them."""

LONG_TABLE = (
    "row_id", "study", "study_version", "study_session", "participant", "trial_index", "trial_kind",
    "repeat_of", "contrast", "task", "chance_level", "prompt_id", "prompt", "category", "seed",
    "model", "model_revision", "scheduler", "guidance", "reference_steps", "candidate_arm",
    "baseline_arm", "candidate_steps", "baseline_steps", "candidate_sha256", "baseline_sha256",
    "candidate_side", "response", "chosen_arm", "is_candidate_chosen", "response_ms",
    "input_method", "shown_at", "responded_at", "image_load_ms", "image_decode_ms", "frame_ms",
    "viewport_width", "viewport_height", "device_pixel_ratio", "displayed_px", "focus_lost",
    "catch_correct", "excluded", "exclusion_reason", "plan_seed", "app_version",
)
PARTICIPANTS = (
    "id", "participant", "public_id", "session", "state", "language", "screen", "created_at",
    "started_at", "consented_at", "consent_sha256", "last_seen_at", "questions_before_at",
    "screen_checked_at", "instructed_at", "questions_after_at", "finished_at", "withdrawn_at",
    "completion_code",
)


def is_taken(name: str) -> bool:
    """Whether a table has this column; R reads `a-b` and `A_B` as nearly the same."""
    return name.lower().replace("-", "_") in {*LONG_TABLE, *PARTICIPANTS}
