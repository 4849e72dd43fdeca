import { STATUS_CODES } from 'node:http'

/** What the schemas of the routes do not say, and every reader of the OpenAPI document wants to know. */

interface Operation {
  requestBody?: object
  responses: { [status: string]: { description: string; content?: object } }
}

interface Document {
  paths?: { [path: string]: { [method: string]: Operation } }
}

const otlpTypes = ['application/x-protobuf', 'application/json']
const messages: { [path: string]: string } = {
  '/v1/logs': 'ExportLogsServiceRequest',
  '/v1/traces': 'ExportTraceServiceRequest',
  '/v1/metrics': 'ExportMetricsServiceRequest',
}
const forbidden =
  'Forbidden: a host name that is not known here, a page of another site, or a change by a page in a browser'
const otlpErrors: { [status: number]: string } = {
  400: 'The body is no such request, or cannot be unpacked',
  403: forbidden,
  413: 'The body is larger than the limit',
  415: 'The content type or the content encoding is not supported',
  429: 'Too many bytes in flight: try again after Retry-After seconds',
  503: 'The store cannot take events now, or the receiver is shutting down: try again after Retry-After seconds',
}
const status = {
  type: 'object',
  description: 'google.rpc.Status, in the encoding of the request; protobuf when it named neither',
  properties: { code: { type: 'integer' }, message: { type: 'string' } },
}

/** Adds the bodies and errors of OTLP, the 403 of what changes something, and words for answers that have none. In place. */
export function completeDocument<Given extends object>(document: Given): Given {
  for (const [path, methods] of Object.entries((document as Document).paths ?? {}))
    for (const [method, operation] of Object.entries(methods)) {
      const { responses } = operation
      const message = messages[path]
      if (message !== undefined) {
        const description = `${message}; compressed as Content-Encoding says`
        operation.requestBody = { required: true, description, content: toContent({ type: 'object' }) }
        if (responses[200]?.content)
          responses[200].content = toContent({ type: 'object' }, responses[200].content)
        for (const [code, text] of Object.entries(otlpErrors))
          responses[code] ??= { description: text, content: toContent(status) }
      } else if (method !== 'get')
        responses[403] ??= {
          description: forbidden,
          content: {
            'application/json': { schema: { type: 'object', properties: { detail: { type: 'string' } } } },
          },
        }
      for (const [code, response] of Object.entries(responses))
        if (response.description === 'Default Response') response.description = STATUS_CODES[code] ?? code
    }
  return document
}

/** Of both encodings: JSON as given, or else of the schema; protobuf is bytes. */
function toContent(schema: object, given: object = {}): object {
  const [protobuf, json] = otlpTypes
  return { [protobuf!]: { schema: { type: 'string', format: 'binary' } }, [json!]: { schema }, ...given }
}
