"""The table of the magazine's pages."""

from django.db import migrations, models

from emulator.cms.models import Body


class Migration(migrations.Migration):
    initial = True
    dependencies = [("wagtailcore", "0098_apitoken")]
    operations = [
        migrations.CreateModel(
            name="JournalPage",
            fields=[
                (
                    "page_ptr",
                    models.OneToOneField(
                        "wagtailcore.page",
                        models.CASCADE,
                        auto_created=True,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("body", Body([])),
            ],
            bases=("wagtailcore.page",),
        ),
    ]
