"""Reads OTLP requests from files, and prints their names and spans as JSON. Runs where the packages of PyPI are.

  otlp_names.py FOLDER
"""

import importlib
import json
import pathlib
import sys

import opentelemetry.semconv
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def main():
    folder = pathlib.Path(sys.argv[1])
    traces = [parse(ExportTraceServiceRequest, file) for file in folder.glob("*.traces")]
    metrics = [parse(ExportMetricsServiceRequest, file) for file in folder.glob("*.metrics")]
    resources = [part for request in traces for part in request.resource_spans]
    resources += [part for request in metrics for part in request.resource_metrics]
    scopes = [scope for request in traces for part in request.resource_spans for scope in part.scope_spans]
    spans = [span for scope in scopes for span in scope.spans]
    metric_scopes = [scope for request in metrics for part in request.resource_metrics for scope in part.scope_metrics]
    named = [metric for scope in metric_scopes for metric in scope.metrics]

    attributes = {attribute.key for part in resources for attribute in part.resource.attributes}
    attributes |= {attribute.key for span in spans for attribute in span.attributes}
    attributes |= {attribute.key for span in spans for event in span.events for attribute in event.attributes}
    attributes |= {attribute.key for metric in named for attribute in attributes_of(metric)}
    schemas = {part.schema_url for part in [*resources, *scopes, *metric_scopes]}
    found = {
        "attributes": sorted(attributes),
        "metrics": sorted({metric.name for metric in named}),
        "registered": sorted(registered()),
        "schemas": sorted(schemas),
        "known_schemas": sorted(known_schemas()),
        "resource": {attribute.key: attribute.value.string_value for attribute in resources[0].resource.attributes},
        "spans": [shown(span) for span in spans],
    }
    json.dump(found, sys.stdout)


def parse(kind, file):
    message = kind()
    message.ParseFromString(file.read_bytes())
    return message


def attributes_of(metric):
    data = getattr(metric, metric.WhichOneof("data"))
    return [attribute for point in data.data_points for attribute in point.attributes]


def registered():
    """Every name of an attribute or a metric that the package has, those in development included."""
    (folder,) = map(pathlib.Path, opentelemetry.semconv.__path__)
    # Not every folder in it is a package, so they cannot be walked.
    for file in folder.glob("**/*.py"):
        loaded = importlib.import_module(".".join(["opentelemetry.semconv", *file.relative_to(folder).with_suffix("").parts]))
        for name, value in vars(loaded).items():
            if name.isupper() and isinstance(value, str):
                yield value


def known_schemas():
    from opentelemetry.semconv.schemas import Schemas

    return [schema.value for schema in Schemas]


def shown(span):
    return {
        "id": span.span_id.hex(),
        "trace": span.trace_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "status": span.status.code,
        "attributes": {attribute.key: value(attribute.value) for attribute in span.attributes},
    }


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


main()
