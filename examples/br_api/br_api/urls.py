"""The pages of the site."""

from django.urls import path

from visits import views

urlpatterns = [
    path("", views.home),
    path("db", views.database),
    path("cache", views.cached),
    path("health", views.health),
    path("slow", views.slow),
]
