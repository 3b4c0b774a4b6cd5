package proxy

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hookproxy/hookproxy/identity"
)

// answerer is what the proxy needs of identity.Question.
type answerer interface {
	Answer(ctx context.Context) (identity.Caller, error)
	// Known is Answer, where that takes no time.
	Known() (identity.Caller, error, bool)
	// Forget drops what is remembered of the caller's credentials.
	Forget()
}

// question is who sent a request, being found out while it is forwarded.
type question struct {
	answerer answerer
	told     answer
	known    bool        // told was known at once
	answers  chan answer // one, at most; nil: nobody is being asked
	stop     context.CancelFunc
	pending  bool // wait has given up before there was an answer
}

type answer struct {
	caller identity.Caller
	err    error
}

// questionOf takes from the exchange's request what the answer needs.
func questionOf(x *exchange) *question {
	return &question{answerer: x.ruling.ask(x.inbound)}
}

// startAsking answers the question from memory, or on a goroutine of its own. The
// exchange's end cancels that; Wait waits for it. A client that leaves does not:
// its event still needs a user.
func (p *Proxy) startAsking(q *question, client context.Context) {
	if a, known := p.recall(q); known {
		q.told, q.known = a, true
		return
	}
	q.answers = make(chan answer, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	q.stop = cancel
	p.asking.Go(func() {
		var a answer
		defer func() { q.answers <- a }()
		defer p.survive("identity", func() { a.err = fmt.Errorf("%w: panic", identity.ErrUnavailable) })
		a.caller, a.err = q.answerer.Answer(ctx)
	})
}

func (p *Proxy) recall(q *question) (a answer, known bool) {
	defer p.survive("identity", func() { a, known = answer{err: fmt.Errorf("%w: panic", identity.ErrUnavailable)}, true })
	a.caller, a.err, known = q.answerer.Known()
	return a, known
}

// now answers what is known already, and whether anything is: there is nothing
// to wait for where nobody asked.
func (q *question) now() (a answer, known bool) {
	switch {
	case q == nil:
		return answer{}, true
	case q.known:
		return q.told, true
	}
	select {
	case a = <-q.answers:
		return a, true
	default:
		return answer{}, false
	}
}

// wait answers the caller, if patience lasts, and identity.ErrUnavailable where
// it does not.
func (q *question) wait(patience time.Duration) answer {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-q.answers:
		return a
	case <-timer.C:
		q.pending = true
		return answer{err: fmt.Errorf("%w: not within %s", identity.ErrUnavailable, patience)}
	}
}

func (q *question) cancel() {
	if q != nil && q.stop != nil {
		q.stop()
	}
}

// revoked tells identity of credentials that the upstream has just refused:
// until now it may have known whose they were.
func (p *Proxy) revoked(x *exchange, status int) {
	if status != http.StatusUnauthorized || x.ruling.ask == nil {
		return
	}
	defer p.survive("identity", func() {})
	x.ruling.ask(x.inbound).Forget()
}
