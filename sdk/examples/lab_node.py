"""
A node in Python that speaks OTLP with MADSci's fields; nothing of this package is needed.

    pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http opentelemetry-instrumentation-logging
    MADSCI_URL=http://localhost:8001 MADSCI_NODE_ID=01J... python lab_node.py '{"traceparent": "...", "baggage": "..."}'
"""

import json
import logging
import os
import sys
import time

from opentelemetry import baggage, propagate
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

url = os.environ.get("MADSCI_URL", "http://localhost:8001").rstrip("/")
provider = LoggerProvider(
    # Ids that hold for the process are attributes of its resource.
    Resource.create({"service.name": "python-node", "madsci.source.node_id": os.environ["MADSCI_NODE_ID"]})
)
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{url}/v1/logs")))
events = provider.get_logger("python-node")


def emit(event_type, data, severity=SeverityNumber.INFO, context=None):
    """An event with its type, its event_data, and the ids and the trace of whoever called."""
    ids = {key: id for key, id in baggage.get_all(context).items() if key.startswith("madsci.source.")}
    now = time.time_ns()
    events.emit(
        timestamp=now,
        observed_timestamp=now,
        context=context,
        severity_number=severity,
        body=data.get("message", event_type),
        attributes={"madsci.event.type": event_type, "madsci.event.data": data, **ids},
    )


# The headers of the request that is being answered: a node in JavaScript sends them with events.headers().
caller = propagate.extract(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
emit("node_start", {"message": "Started", "node_name": "python-node"})
emit("action_start", {"message": "Moving", "action": "move", "action_id": "a1", "args": {"to": [1, 2]}}, context=caller)
emit(
    "action_failed",
    {"message": "Blocked", "action": "move", "action_id": "a1", "status": "failed"},
    severity=SeverityNumber.ERROR,
    context=caller,
)

# Lines of Python's own logging become events as well; their extra fields are MADSci's, or event_data.
logger = logging.getLogger("python-node")
logger.addHandler(LoggingHandler(logger_provider=provider))
logger.warning("Low on tips", extra={"tips": 3, "madsci.event.type": "resource_update"})

provider.shutdown()
