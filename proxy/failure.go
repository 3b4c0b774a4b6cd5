package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"strings"
)

// statusClientGone is nginx's code for a client that left before its answer.
// It stands in logs and metrics; nobody is there to read it.
const statusClientGone = 499

// failure is an answer of the proxy's own, where the upstream gave none.
type failure struct {
	status  int
	outcome string
	detail  string
	// upstream is what the upstream had answered; 0 where it had not.
	upstream int
}

// retryAfter is what a client is told, in seconds, where an event is nowhere:
// about as long as a store takes to come back.
const retryAfter = "5"

// failureOf is the ladder from an error on the way to the upstream to an answer.
func failureOf(x *exchange, err error) failure {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errNotSafe):
		return failure{http.StatusServiceUnavailable, "not_safe", "The API has carried out this request, but its event could not be stored. " +
			"Repeating the request may carry it out twice, unless it is idempotent or has the same Idempotency-Key.", x.status}
	case errors.As(err, &tooLarge) || errors.As(x.bodyError(), &tooLarge):
		return failure{status: http.StatusRequestEntityTooLarge, outcome: "too_large", detail: "The request body is too large."}
	case x.clientGone():
		return failure{status: statusClientGone, outcome: "client_gone", detail: ""}
	case x.bodyError() != nil:
		return failure{status: http.StatusBadRequest, outcome: "bad_request", detail: "The request body could not be read."}
	case isTimeout(err):
		return failure{status: http.StatusGatewayTimeout, outcome: "upstream_timeout", detail: "The upstream did not answer in time."}
	}
	return failure{status: http.StatusBadGateway, outcome: "upstream_unreachable", detail: "The upstream could not be reached, or broke off."}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// handleError answers for an upstream that did not.
func (p *Proxy) handleError(x *exchange, err error) {
	if x.capture.sentInVain() && x.status == 0 && x.bodyError() == nil && isWrite(x.inbound.Method) {
		p.metrics.outcomeUnknown.Inc()
		x.capture.result = "outcome_unknown"
	}
	p.fail(x, failureOf(x, err), err)
}

// fail writes the failure as a problem (RFC 9457).
func (p *Proxy) fail(x *exchange, f failure, err error) {
	x.status, x.outcome, x.reason = f.status, f.outcome, reasonOf(err)
	x.closeIfDue()
	h := x.writer.Header()
	if f.status == http.StatusNotImplemented {
		h.Set("Connection", "close") // what follows a CONNECT need not be HTTP/1.1
	}
	if f.status == statusClientGone {
		x.writer.WriteHeader(f.status) // or net/http would call it a 200
		return
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if f.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	x.writer.WriteHeader(f.status)
	body, _ := json.Marshal(problem{"about:blank", http.StatusText(f.status), f.status, f.detail, f.upstream}) // cannot fail: strings and ints
	_, _ = x.writer.Write(body)                                                                                // a client that left is no news
}

// problem is the body of an answer of ours (RFC 9457 §3.1).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// UpstreamStatus is an extension (§3.2): what the API said, where it did.
	UpstreamStatus int `json:"upstream_status,omitempty"`
}

// reasonOf answers an error's text for the log, without what the transport
// quotes from a malformed response.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	var protocol textproto.ProtocolError
	if errors.As(err, &protocol) {
		return "malformed header"
	}
	text, _, quoted := strings.Cut(err.Error(), `"`)
	if quoted {
		text += "…"
	}
	return text
}
