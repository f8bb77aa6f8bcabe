"""What can go wrong with a model; each message is a sentence for the person who can mend it."""


class InferenceError(Exception):
    """The root of this family."""


class TrainingError(InferenceError):
    """Nothing can be trained from these rows and labels."""


class ModelLoadError(InferenceError):
    """A model folder or archive that cannot be loaded, or must not be."""


class ModelAddError(InferenceError):
    """A model that somebody brought cannot be taken as it is; the message says the mend."""


class UntrustedType(ModelLoadError):
    """A model file asks for types outside the reviewed list; `types` names them."""

    def __init__(self, types: tuple[str, ...], name: str = "model.skops") -> None:
        self.types = types
        super().__init__(
            f"{name} asks for {', '.join(types)}, which is outside the reviewed list of what may be loaded; train the model "
            "again without it, or bring it as python:FILE.py:FUNCTION or as ONNX"
        )


class DeviceError(InferenceError):
    """The device that was asked for is not there."""
