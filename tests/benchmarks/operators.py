"""Operators without a browser: each speaks Streamlit's own protocol over a websocket, and presses buttons as a page would."""

import asyncio
import random
import time
from dataclasses import dataclass, field

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

FINISHED = ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY


@dataclass
class Operator:
    """One person before one page. `times`: seconds from each press to the end of the run that it began."""

    address: str
    cookie: str
    query: str
    times: list[float] = field(default_factory=list)
    buttons: dict[str, str] = field(default_factory=dict)
    page: str = ""

    async def work(self, seconds: float, pace: float) -> None:
        """Accept a case about every `pace` seconds."""
        host = self.address.removeprefix("http://")
        headers = {"Cookie": self.cookie, "Origin": self.address}
        async with websockets.connect(
            f"ws://{host}/_stcore/stream", additional_headers=headers, subprotocols=["streamlit"], max_size=None
        ) as wire:
            await self._run(wire)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(random.uniform(0.5, 1.5) * pace)
                pressed = self._button("accept-") or self._button("label-")  # a blind case wants an answer first
                if pressed is None:
                    raise RuntimeError(f"no case to accept; the page has {sorted(self.buttons)}")
                began = time.perf_counter()
                await self._run(wire, pressed)
                self.times.append(time.perf_counter() - began)

    async def _run(self, wire: websockets.ClientConnection, pressed: str | None = None) -> None:
        """One run of the script, with a button pressed or none."""
        said = BackMsg()
        said.rerun_script.query_string = self.query
        said.rerun_script.page_script_hash = self.page
        if pressed is not None:
            state = said.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = pressed, True
        await wire.send(said.SerializeToString())
        self.buttons = {}
        while True:
            raw = await wire.recv()
            assert isinstance(raw, bytes)
            told = ForwardMsg.FromString(raw)
            self._note(told)
            if told.WhichOneof("type") == "script_finished" and told.script_finished == FINISHED:
                return

    def _button(self, name: str) -> str | None:
        return next((button for key, button in self.buttons.items() if key.startswith(name)), None)

    def _note(self, told: ForwardMsg) -> None:
        kind = told.WhichOneof("type")
        if kind == "new_session":
            self.page = told.new_session.page_script_hash
        elif kind == "delta" and told.delta.WhichOneof("type") == "new_element":
            element = told.delta.new_element
            if element.WhichOneof("type") == "button":
                self.buttons[element.button.id.rpartition("$$ID-")[2].partition("-")[2]] = element.button.id


def crowd(operators: list[Operator], seconds: float, pace: float) -> None:
    """All of them at once, until the time is over."""

    async def everybody() -> None:
        await asyncio.gather(*(each.work(seconds, pace) for each in operators))

    asyncio.run(everybody())
