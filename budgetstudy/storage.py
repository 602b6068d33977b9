"""Static files under hashed names, native JavaScript modules included."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Hash the relative imports inside modules too, so that no page mixes two versions."""

    support_js_module_import_aggregation = True
