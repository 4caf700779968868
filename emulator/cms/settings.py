"""Django's settings of the magazine: what it is told at the start, and what follows from that."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from emulator.storefront.assortment import FILE as ASSORTMENT

PAGES_CACHED_S = 60
CATALOG_TRUSTED_S = 10

_SHOP = ASSORTMENT.parent

_APPS = [
    "emulator.cms",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.cache.UpdateCacheMiddleware",
    "emulator.cms.middleware.public_pages_are_safe",
    "emulator.cms.middleware.personalised_pages_are_private",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]

_TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    },
    {"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": [_SHOP / "templates"]},
]


class Site(NamedTuple):
    """Where the magazine answers, where Segue does, the folder of its files, and Segue's two keys for it."""

    url: str
    segue: str
    data: Path
    write_key: str
    secret_key: str


def settings(site: Site) -> Mapping[str, Any]:
    """For `django.conf.settings.configure`. Whoever is logged in is logged out by a restart: nothing secret is kept."""
    return {
        "SITE": site,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": ["127.0.0.1", "localhost"],
        "ROOT_URLCONF": "emulator.cms.urls",
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": site.data / "cms.sqlite3"}},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": _APPS,
        "MIDDLEWARE": _MIDDLEWARE,
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "catalog": {
                "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                "LOCATION": site.data / "catalog",
                "TIMEOUT": None,
            },
        },
        "CACHE_MIDDLEWARE_SECONDS": PAGES_CACHED_S,
        "TEMPLATES": _TEMPLATES,
        "STATIC_URL": "/static/",
        "STATICFILES_DIRS": [_SHOP / "static"],
        "MEDIA_ROOT": site.data / "media",
        "USE_TZ": True,
        "SECURE_REFERRER_POLICY": "strict-origin-when-cross-origin",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": 10_000,
        "LOGGING_CONFIG": None,
        "WAGTAIL_SITE_NAME": "Lisière, the journal",
        "WAGTAILADMIN_BASE_URL": site.url,
        "WAGTAIL_ENABLE_UPDATE_CHECK": False,
        "WAGTAIL_ENABLE_WHATS_NEW_BANNER": False,
        "WAGTAIL_GRAVATAR_PROVIDER_URL": None,
        "WAGTAIL_AUTO_UPDATE_PREVIEW": True,
    }
