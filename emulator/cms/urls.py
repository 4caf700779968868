"""The addresses of the magazine; those of its pages are Wagtail's."""

from django.contrib.staticfiles.views import serve
from django.urls import include, path, re_path
from wagtail import urls as pages
from wagtail.admin import urls as admin

from emulator.cms import views

urlpatterns = [
    path("admin/", include(admin)),
    path("pictures/<slug:product>.svg", views.picture),
    re_path(r"^heroes/(?P<page>[0-9]{1,15})/(?P<hero>[0-9a-f-]{36})$", views.hero, name="hero"),
    path("static/<path:path>", serve, {"insecure": True}),  # insecure means slow: files by Python
    path("token", views.token),
    path("", include(pages)),
]
