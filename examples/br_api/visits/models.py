"""What is kept in MySQL."""

from django.db import models


class Visit(models.Model):
    """Somebody looked at the page /db."""

    at = models.DateTimeField(auto_now_add=True)
    agent = models.CharField(max_length=200)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"visit {self.pk} at {self.at:%Y-%m-%d %H:%M:%S}: {self.agent}"
