"""What explains the models of a worker: made on demand beside scoring, the least recently used let go."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any, TypeVar

from app.worker.models import Models
from contract.policy import Explain
from contract.predictors import Predictor
from explain.explainer import Explainer

MOST = 32
"""Sets of methods that a worker keeps at once."""
LOOK_SECONDS = 0.02
"""Between two looks whether what is made beside is there."""
Result = TypeVar("Result")


class Methods:
    """Explainers by model and wish. They call `between` between pieces of their work, and while they are made: to import a
    library or to look into a model for the first time takes seconds."""

    def __init__(self, models: Models, between: Callable[[], object]) -> None:
        self._models, self._between = models, between
        self._held: OrderedDict[Any, tuple[Predictor, Any]] = OrderedDict()
        self._beside = ThreadPoolExecutor(1, "methods")

    def ahead(self, model_id: int, wish: Explain) -> Sequence[Explainer]:
        """What is made ahead of the people, as the policy says. Raises NotExplainable, ModelLoadError."""
        from explain.catalog import explainers_for

        told: dict[str, Any] = {"methods": wish.methods, "samples": wish.samples, "evaluations": wish.evaluations}

        def make(model: Predictor) -> list[Explainer]:
            return explainers_for(model, model.background, **told, between=self._between)

        return self._get((model_id, *told.values()), model_id, make)

    def asked(self, model_id: int, method: str, params: Mapping[str, int]) -> Explainer:
        """What somebody asked for. Raises NotExplainable, ModelLoadError."""
        from explain.catalog import explainer_for

        def make(model: Predictor) -> Explainer:
            return explainer_for(model, model.background, method, params=params, between=self._between)

        return self._get((model_id, method, tuple(sorted(params.items()))), model_id, make)

    def beside(self, work: Callable[..., Result], *args: Any) -> Result:
        """Do something in another thread, and let others have their turn meanwhile. Raises what it raises."""
        doing = self._beside.submit(work, *args)
        while wait_for([doing], LOOK_SECONDS).not_done:
            self._between()
        return doing.result()

    def _get(self, key: Any, model_id: int, make: Callable[[Predictor], Result]) -> Result:
        model = self._models.get(model_id)
        held, made = self._held.get(key, (None, None))
        if held is not model:
            self._held[key] = model, self.beside(make, model)
            made = self._held[key][1]
        self._held.move_to_end(key)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return made  # type: ignore[return-value]
