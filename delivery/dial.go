package delivery

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// dialGrace is by how much a dial may outlive the exchange that it is for: the
// exchange is to end first, and say why.
const dialGrace = time.Second

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// watched dials, and notes when a name could be resolved.
func (s *sender) watched(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if by, bounded := ctx.Value(dialBy{}).(time.Time); bounded {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, by)
			defer cancel()
		}
		conn, err := dial(ctx, network, address)
		host, _, splitErr := net.SplitHostPort(address)
		if _, literal := netip.ParseAddr(host); splitErr != nil || literal == nil {
			return conn, err
		}
		dns, unresolved := errors.AsType[*net.DNSError](err)
		switch {
		case !unresolved:
			s.resolved.Store(time.Now().UnixNano())
		case dns.IsNotFound:
			err = s.askAgain(ctx, host, err)
		}
		return conn, err
	}
}

// askAgain tells names that there are none of from those that were looked up by
// half: of the questions for IPv4 and IPv6, and for each suffix of a search list,
// net answers with the error of one, which may be that there is no such data while
// another found no server. Strictly asked, it does not go on to another suffix
// then; but of IPv4 and IPv6 it still answers with whichever came last, so they are
// asked for one by one. It answers the error that there was, or the one that was
// hidden by it.
func (s *sender) askAgain(ctx context.Context, host string, notFound error) error {
	for _, family := range []string{"ip4", "ip6"} {
		_, err := s.strict.LookupNetIP(ctx, family, host)
		if dns, failed := errors.AsType[*net.DNSError](err); failed && !dns.IsNotFound {
			return err
		}
	}
	return notFound
}

// dialBy is the key of the time by which a dial has to end.
type dialBy struct{}

// boundDial has dials for a request end soon after it. net/http takes them out of
// the request's context, so that a later one can use the connection: through an
// egress proxy that is silent, there never is one.
func boundDial(r *http.Request) *http.Request {
	by, bounded := r.Context().Deadline()
	if !bounded {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), dialBy{}, by.Add(dialGrace)))
}
