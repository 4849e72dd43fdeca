"""An experiment of a test's laboratory: experiment.py NAME USER WORKFLOWS, where WORKFLOWS is JSON:
[{"name": …, "cancel_when": node or nothing, "steps": [{"node": …, "action": …, "args": {…}}]}]. All run at once; what
names a node is cancelled a second after an action began there."""

import json
import os
import sys
import time

from madsci.common.types.auth_types import OwnershipInfo
from madsci.common.types.experiment_types import ExperimentDesign
from madsci.common.types.step_types import StepDefinition
from madsci.common.types.workflow_types import WorkflowDefinition
from madsci.experiment_application import ExperimentScript

name, user, workflows = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.argv = sys.argv[:1]  # the settings of MADSci read the command line


def wait_for(node: str) -> None:
    """Until a second after an action began on the node."""
    while True:
        with open(os.environ["CLOCK"]) as clock:
            begun = [line["at"] for line in map(json.loads, clock) if line["node"] == node]
        if begun and time.time() > begun[0] + 1:
            return
        time.sleep(0.05)


class TestExperiment(ExperimentScript):
    experiment_design = ExperimentDesign(experiment_name=name, ownership_info=OwnershipInfo(user_id=user))

    def run_experiment(self) -> None:
        started = []
        for workflow in workflows:
            steps = [
                StepDefinition(name=f"{step['action']} {index}", key=f"s{index}", **step)
                for index, step in enumerate(workflow["steps"])
            ]
            run = self.workcell_client.start_workflow(
                WorkflowDefinition(name=workflow["name"], steps=steps), await_completion=False
            )
            started.append((workflow, run))
        for workflow, run in started:
            if "cancel_when" in workflow:
                wait_for(workflow["cancel_when"])
                self.workcell_client.cancel_workflow(run.workflow_id)
        for workflow, run in started:
            ended = self.workcell_client.await_workflow(
                run.workflow_id, prompt_on_error=False, raise_on_failed=False, raise_on_cancelled=False, query_frequency=0.5
            )
            print("WORKFLOW", workflow["name"], ended.workflow_id, ended.status.description, flush=True)


TestExperiment().run()
print("DONE", flush=True)
