"""Everything on one machine: what ends ends together."""

import os
import subprocess
import sys
from pathlib import Path

from tests.end_to_end import processes

WORKER = """
import os, signal, sys, time
def end(*_):
    time.sleep(1.5)
    open(os.path.join(os.environ["SIGNOFF_DIR"], "ended"), "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(os.path.join(os.environ["SIGNOFF_DIR"], "began"), "w").close()
while True:
    time.sleep(0.05)
"""
UP = """
import subprocess, sys
from pathlib import Path
from app import up
from app.settings import Settings
begin = lambda self: subprocess.Popen([sys.executable, "-c", sys.argv[3]], env=self._env, start_new_session=True)
up.Worker._begin = begin
up.run(Settings(dir=Path(sys.argv[1])), port=int(sys.argv[2]))
"""


def test_on_sigterm_the_web_process_waits_for_its_worker(tmp_path: Path) -> None:
    port = processes.free_port()
    command = [sys.executable, "-c", UP, str(tmp_path), str(port), WORKER]
    with subprocess.Popen(command, env=processes.plain(), stderr=subprocess.DEVNULL, cwd=os.getcwd()) as process:
        processes.wait_until_up(port)
        assert (tmp_path / "began").exists()
        process.terminate()
        assert process.wait(30) == 0
    assert (tmp_path / "ended").exists()
