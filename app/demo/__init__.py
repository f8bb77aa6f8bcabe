"""`signoff demo`: two projects on real data that ships with scikit-learn, from nothing to cases on a desk."""

from app.demo.run import run

__all__ = ["run"]
