"""Settings that follow from others."""

from pathlib import Path

from app.settings import Settings


def test_trainings_are_told_to_a_file_in_the_workspace_where_there_is_one(tmp_path: Path) -> None:
    assert Settings(dir=tmp_path, mlflow=None).tracking == f"sqlite:///{tmp_path.resolve() / 'mlflow.db'}"
    assert Settings(dir=tmp_path / "none", mlflow=None).tracking is None
    assert Settings(dir=tmp_path / "none", mlflow="http://mlflow:5000").tracking == "http://mlflow:5000"
    assert Settings(dir=tmp_path, mlflow="off").tracking is None
