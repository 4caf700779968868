"""The addresses of the magazine; those of its pages are Wagtail's."""

from django.urls import include, path
from wagtail import urls as pages
from wagtail.admin import urls as admin

from emulator.cms import views

urlpatterns = [
    path("admin/", include(admin)),
    path("pictures/<slug:product>.svg", views.picture),
    path("heroes/<int:page>/<uuid:hero>", views.hero, name="hero"),
    path("token", views.token),
    path("", include(pages)),
]
