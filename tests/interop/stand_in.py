"""A running `boxseat simulate`, until the end of a `with` block."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess

import requests

BOXSEAT = os.environ["BOXSEAT_INTEROP_BINARY"]
NOW = "2026-03-02T06:00:00Z"
# The last variable that `simulate` prints, without and with --jwt.
LAST = {"BOXSEAT_ENTERPRISE_ID", "BOXSEAT_ACTIONS_JWT_CONFIG"}


@dataclasses.dataclass
class StandIn:
    """The addresses of a running simulator: the environment that it printed for other commands."""

    exports: dict

    @property
    def root(self):
        return self.exports["BOXSEAT_API_URL"].removesuffix("/2.0")

    def control(self, method, path, **kwargs):
        """Sends a request to the control routes."""
        answer = requests.request(method, f"{self.root}/_simulator{path}", timeout=30, **kwargs)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextlib.contextmanager
def stand_in(directory, *flags, scenario=""):
    """Starts a simulator on a free port. Ends it with SIGINT, as Ctrl-C does."""
    path = pathlib.Path(directory) / "scenario.toml"
    path.write_text(scenario)
    command = [BOXSEAT, "--now", NOW, "simulate", "--listen", "127.0.0.1:0", "--scenario", str(path)]
    command += ["--calls-per-minute", "0", *flags]
    environment = {"HOME": str(directory), "PATH": os.environ.get("PATH", "")}
    with open(pathlib.Path(directory) / "simulate.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        exports = {}
        while not exports.keys() & LAST:
            line = process.stdout.readline()
            assert line, f"simulate ended early:\n{pathlib.Path(log.name).read_text()}"
            name, _, value = line.strip().removeprefix("export ").partition("=")
            exports[name] = value.strip("'")
        yield StandIn(exports)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0, pathlib.Path(log.name).read_text()
        process.stdout.close()
