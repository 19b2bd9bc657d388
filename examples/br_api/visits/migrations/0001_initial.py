"""The table of visits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Create the table."""

    initial = True

    operations = [
        migrations.CreateModel(
            name="Visit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("agent", models.CharField(max_length=200)),
            ],
            options={"ordering": ("-id",)},
        ),
    ]
