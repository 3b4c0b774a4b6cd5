package delivery

import (
	"net/http"
	"time"
)

// Outcome is the end that one attempt came to. The set is closed.
type Outcome int

const (
	// Delivered: the target answered 2xx.
	Delivered Outcome = iota
	// Failed: worth another attempt, as long as the schedule has one.
	Failed
	// Rejected: another attempt would meet the same answer; a dead letter at once.
	Rejected
	// Gone: the target answered 410 and wants no more; its subscription is removed.
	Gone
	// Released: the fault is ours. No attempt is charged.
	Released
)

// String answers the outcome as logs show it.
func (o Outcome) String() string {
	return [...]string{"delivered", "failed", "rejected", "gone", "released"}[o]
}

// Classes of errors, as attempts and metrics name them. The set is bounded.
const (
	classNone       = ""
	classRefused    = "address_refused"
	classDNS        = "dns"
	classConnect    = "connect"
	classTLS        = "tls"
	classTimeout    = "timeout"
	classLost       = "connection_lost"
	classProtocol   = "protocol"
	classHTTP3xx    = "http_3xx"
	classHTTP4xx    = "http_4xx"
	classHTTP5xx    = "http_5xx"
	classHTTPOther  = "http_other"
	classGone       = "gone"
	classTarget     = "target_invalid"
	classUnreadable = "event_unreadable"
	classOurDNS     = "own_dns"
	classOurEgress  = "own_egress"
	classOurLimits  = "own_limits"
	// classEgressRefused: the egress proxy has a rule against the target.
	classEgressRefused = "egress_refused"
	classSealed        = "secret_sealed"
	classNoKey         = "signing_key_missing"
	classShutdown      = "shutdown"
)

// attempt is what one exchange with a target came to.
type attempt struct {
	outcome Outcome
	// class is why, empty for Delivered.
	class string
	// status is the answer's, 0 without one.
	status int
	// after is when the target, or our own trouble, wants the next attempt.
	// Zero leaves that to the schedule.
	after time.Duration
	// pause is for how long the target wants no delivery at all.
	pause time.Duration
	took  time.Duration
	// head is how the response's body begins. Empty for Delivered, and where the
	// body is no text.
	head string
	// err is for the log. It never holds the target's URL.
	err error
}

// judge turns a response's status into an outcome:
//
//	2xx                  Delivered
//	3xx                  Rejected: redirects are not followed, and the next answer would be the same
//	410                  Gone
//	429, 503             Failed, after Retry-After where there is one
//	other 4xx, 5xx       Failed: also those that name the request itself, since a
//	                     receiver that is being deployed answers 400 or 404 as well
//	anything else        Failed
func judge(res *http.Response, now time.Time) attempt {
	a := attempt{status: res.StatusCode, outcome: Failed}
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		a.outcome = Delivered
	case code >= 300 && code < 400:
		a.outcome, a.class = Rejected, classHTTP3xx
	case code == http.StatusGone:
		a.outcome, a.class = Gone, classGone
	case code >= 400 && code < 500:
		a.class = classHTTP4xx
	case code >= 500 && code < 600:
		a.class = classHTTP5xx
	default:
		a.class = classHTTPOther
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
		a.after = retryAfter(res.Header.Get("Retry-After"), now)
		a.pause = a.after
	}
	return a
}
