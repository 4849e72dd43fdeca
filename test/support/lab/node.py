"""A node of a test's laboratory. What it truly did stands in the file CLOCK, a line of JSON for each begin and end."""

import json
import os
import threading
import time

from madsci.common.types.action_types import ActionCancelled, ActionFailed, ActionSucceeded
from madsci.node_module.helpers import action
from madsci.node_module.rest_node_module import RestNode


class TestNode(RestNode):
    """Actions of a stated length: one that works, one that fails, one that ends when somebody cancels it."""

    stopped = threading.Event()

    def note(self, action_name: str, what: str) -> None:
        line = json.dumps({"node": os.environ["NODE_NAME"], "action": action_name, "what": what, "at": time.time()})
        with open(os.environ["CLOCK"], "a") as clock:
            clock.write(line + "\n")

    @action
    def move(self, seconds: float) -> ActionSucceeded:
        """Works."""
        self.note("move", "begin")
        time.sleep(seconds)
        self.note("move", "succeeded")
        return ActionSucceeded()

    @action
    def drop(self, seconds: float) -> ActionFailed:
        """Fails."""
        self.note("drop", "begin")
        time.sleep(seconds)
        self.note("drop", "failed")
        return ActionFailed(errors="the plate fell")

    @action
    def hold(self, seconds: float) -> ActionCancelled:
        """Waits to be cancelled."""
        self.stopped.clear()
        self.note("hold", "begin")
        self.stopped.wait(seconds)
        self.note("hold", "cancelled")
        return ActionCancelled()

    def cancel(self) -> bool:
        """What the workcell asks for when a workflow is cancelled."""
        self.stopped.set()
        return True


if __name__ == "__main__":
    TestNode().start_node()
