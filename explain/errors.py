"""What can go wrong when a model is explained."""


class ExplainError(Exception):
    """Any failure of this folder."""


class UnknownLabel(ExplainError):
    """The label to explain is not one of the model's."""

    def __init__(self, label: str, labels: tuple[str, ...]) -> None:
        super().__init__(f"The model knows no label {label!r}; it knows {', '.join(labels)}.")
        self.label = label


class NotExplainable(ExplainError):
    """The model offers no view that can be explained, or no background to compare an item with."""


class ItemUnreadable(ExplainError):
    """The item lacks what the model reads, or it cannot be decoded. Its message is a sentence for people."""


class ModelFailed(ExplainError):
    """The model raised, or answered with something that is not a probability. Its message is a sentence for people."""
