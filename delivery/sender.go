package delivery

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hookproxy/hookproxy/internal/addresses"
	"github.com/hookproxy/hookproxy/internal/http1"
)

var errTarget = errors.New("the target is no http URL")

// Bounds of an exchange with a target.
const (
	connectTimeout  = 10 * time.Second
	idleConnTimeout = 90 * time.Second
	maxIdleConns    = 256
	// An HTTP/2 connection that carries requests and has been silent for
	// http2Silence is asked whether it is still there. Without that, all deliveries
	// to a target whose machine has gone would be sent into the dead connection.
	http2Silence      = 5 * time.Second
	http2PingTimeout  = 5 * time.Second
	maxResponseHeader = 64 << 10
	maxResponseBody   = 64 << 10

	// resolverTrust is for how long one name resolved shows that our DNS works.
	resolverTrust = time.Minute
	// ownFaultPause is how long a delivery rests after a fault of ours.
	ownFaultPause = 30 * time.Second
)

// sender posts a delivery to its target, once.
type sender struct {
	transport transport
	timeout   time.Duration
	agent     string
	// resolved is when a name last became an address, in ns since 1970.
	resolved atomic.Int64
	strict   net.Resolver // is asked again where there is said to be no such name
}

func newSender(o Options) *sender {
	s := &sender{timeout: o.Timeout, agent: "hookproxy/" + o.Version}
	s.strict.PreferGo, s.strict.StrictErrors = true, true
	if o.Resolver != nil {
		s.strict.Dial = o.Resolver.Dial
	}
	dial := (&net.Dialer{Timeout: connectTimeout, Resolver: o.Resolver, Control: o.Addresses.Control}).DialContext
	if o.EgressProxy != nil {
		dial = newEgress(o).dial
	}
	s.transport = newTransport(o, s.watched(dial))
	return s
}

// close lets go of idle connections.
func (s *sender) close() { s.transport.close() }

// send makes one attempt within the timeout, from resolving the name to the end
// of the response. Cancelling ctx is the engine's shutdown: the attempt is Released.
//
// The transport is used without http.Client around it: no redirect is ever
// followed, no cookie kept, and no error holds the target's URL.
func (s *sender) send(ctx context.Context, d *delivery) attempt {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := d.request(bounded, s.agent, start)
	if err != nil {
		return attempt{outcome: Rejected, class: classTarget, err: err}
	}
	a, _ := s.exchange(ctx, req, start)
	if a.outcome == Delivered {
		a.head = "" // of use only to whoever has to find out what went wrong
	}
	return a
}

// exchange has a request answered, whose own context bounds the time. It answers
// the response's header too, nil where there is none.
func (s *sender) exchange(ctx context.Context, req *http.Request, start time.Time) (attempt, http.Header) {
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		a := s.blame(ctx, err)
		a.took, a.err = time.Since(start), err
		return a, nil
	}
	a := judge(res, time.Now())
	// The status decides; the body is read only so that the connection can be
	// used again, and one too long costs its receiver that connection.
	a.head = readHead(res)
	_ = res.Body.Close()
	a.took = time.Since(start)
	return a, res.Header
}

// blame tells whose fault an exchange without a response is.
func (s *sender) blame(ctx context.Context, err error) attempt {
	if ctx.Err() != nil {
		return attempt{outcome: Released, class: classShutdown}
	}
	class := classify(err)
	if class == classDNS && s.resolverIsDown(err) {
		class = classOurDNS
	}
	if ownFault(class) {
		return attempt{outcome: Released, class: class, after: ownFaultPause}
	}
	// A refused address is retried like any other failure. Nothing was sent, a
	// look-up costs little, and an operator who forgot a network in the allow
	// list, or a name that pointed astray for an hour, loses no event by it.
	return attempt{outcome: Failed, class: class}
}

// resolverIsDown guesses whether a failed look-up is our DNS server's fault. An
// answer that there is no such name is the target's. Silence or "server failure"
// may be either, so the names of other targets decide: none resolved for a
// minute means ours. (With a single target a broken name of its own looks the
// same; its deliveries then wait, uncharged, until it is mended.)
func (s *sender) resolverIsDown(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	if !ok || dns.IsNotFound {
		return false
	}
	return time.Since(time.Unix(0, s.resolved.Load())) > resolverTrust
}

// exhausted are what the system answers where this process, or the machine, has no
// more of what a connection takes: descriptors, memory, local ports.
var exhausted = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL}

// isExhausted also reads the text of a failed look-up, which keeps no other trace.
func isExhausted(err error) bool {
	dns, lookUp := errors.AsType[*net.DNSError](err)
	return slices.ContainsFunc(exhausted, func(e syscall.Errno) bool {
		return errors.Is(err, e) || lookUp && strings.Contains(dns.Err, e.Error())
	})
}

// ownFault tells of a class whether no attempt is charged for it.
func ownFault(class string) bool {
	return class == classOurDNS || class == classOurEgress || class == classOurLimits
}

// classify names the kind of an error without a response.
func classify(err error) string {
	switch {
	case errors.Is(err, addresses.ErrRefused):
		return classRefused
	case errors.Is(err, errEgress):
		return classOurEgress
	case isExhausted(err):
		return classOurLimits
	case errors.Is(err, errEgressRefused):
		return classEgressRefused
	case errors.Is(err, errEgressConnect):
		return classConnect
	case errors.Is(err, errEgressTimeout):
		return classTimeout
	case is[*net.DNSError](err):
		return classDNS
	case isTimeout(err):
		return classTimeout
	case isTLS(err):
		return classTLS
	case isDial(err):
		return classConnect
	case errors.Is(err, http1.ErrBrokenHead):
		return classProtocol
	case is[*net.OpError](err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return classLost
	default:
		return classProtocol
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// isTLS also knows alerts, and what crypto/tls has no type for, by how it names them.
func isTLS(err error) bool {
	if is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) || strings.HasPrefix(err.Error(), "tls: ") {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "remote error" || op.Op == "local error")
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
