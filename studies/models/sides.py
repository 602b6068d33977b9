from django.db import models


class Side(models.TextChoices):
    LEFT = "left", "left"
    RIGHT = "right", "right"
