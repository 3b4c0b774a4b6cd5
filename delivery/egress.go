package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/hookproxy/hookproxy/internal/addresses"
)

// maxTunnels is how many addresses of a target are tried through the proxy.
const maxTunnels = 3

var (
	// errEgress is whatever keeps the egress proxy from doing its work: our fault.
	errEgress = errors.New("egress proxy")
	// errEgressRefused says that the egress proxy has a rule against the target.
	errEgressRefused = errors.New("the egress proxy refuses this target")
	// errEgressConnect and errEgressTimeout say that it does not reach the target.
	errEgressConnect = errors.New("the egress proxy does not reach this target")
	errEgressTimeout = errors.New("the egress proxy does not reach this target in time")
)

// egress dials through an HTTP proxy: CONNECT (RFC 9110 §9.3.6), for http targets
// too. The name is resolved and the address checked here, and the proxy gets the
// address: it has no name left to understand in another way. What is said in the
// tunnel, Host and TLS server name with it, is between us and the target.
type egress struct {
	proxy    *url.URL
	dialer   *net.Dialer // of the proxy, which an operator chose: unchecked
	tls      *tls.Config // for an https proxy
	resolver *net.Resolver
	policy   addresses.Policy
}

func newEgress(o Options) *egress {
	e := &egress{proxy: o.EgressProxy, dialer: &net.Dialer{Timeout: connectTimeout}, resolver: o.Resolver, policy: o.Addresses}
	e.tls = &tls.Config{ServerName: o.EgressProxy.Hostname(), MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		e.tls.RootCAs = o.TLS.RootCAs // not the certificate: that is shown to targets
	}
	if e.resolver == nil {
		e.resolver = net.DefaultResolver
	}
	return e
}

// dial answers a connection to the first of a target's addresses that the proxy
// reaches.
func (e *egress) dial(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	targets, err := e.resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	for _, target := range targets[:min(len(targets), maxTunnels)] {
		var conn net.Conn
		if conn, err = e.tunnel(ctx, target); err == nil {
			return conn, nil
		}
		if errors.Is(err, errEgress) {
			break
		}
	}
	return nil, err
}

// resolve answers a target's addresses that may be dialled. Where there are only
// others, it answers why the first may not.
func (e *egress) resolve(ctx context.Context, address string) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errTarget
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, errTarget
	}
	addrs, err := e.resolver.LookupNetIP(ctx, "ip", host) // an address is its own answer
	if err != nil {
		return nil, err
	}
	var targets []netip.AddrPort
	var refused error
	for _, addr := range addrs {
		target := netip.AddrPortFrom(addr.Unmap(), uint16(port))
		if err := e.policy.CheckTarget(target); err == nil {
			targets = append(targets, target)
		} else if refused == nil {
			refused = err
		}
	}
	if len(targets) == 0 {
		return nil, refused
	}
	return targets, nil
}

// tunnel has the proxy connect to an address.
func (e *egress) tunnel(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	conn, err := e.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEgress, err)
	}
	// A read or write does not end with ctx by itself.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = e.ask(conn, target)
	if !stop() && err == nil {
		err = context.Cause(ctx) // the deadline is set, or about to be
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// connect answers a connection to the proxy.
func (e *egress) connect(ctx context.Context) (net.Conn, error) {
	port := e.proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[e.proxy.Scheme]
	}
	address := net.JoinHostPort(e.proxy.Hostname(), port)
	conn, err := e.dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if e.policy.Own != nil {
		e.policy.Own.Add(conn.RemoteAddr()) // nobody has hooks sent to the proxy itself
	}
	if e.proxy.Scheme != "https" {
		return conn, nil
	}
	secured := tls.Client(conn, e.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// ask sends CONNECT and reads what the proxy says to it. Its errors hold nothing
// of the credentials.
func (e *egress) ask(conn net.Conn, target netip.AddrPort) error {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target.String()}, Host: target.String(), Header: http.Header{}}
	if user := e.proxy.User; user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("%w: %w", errEgress, err)
	}
	reader := bufio.NewReader(io.LimitReader(conn, maxResponseHeader))
	response, err := http.ReadResponse(reader, request)
	switch {
	case isTimeout(err):
		return err // it may be waiting for the target
	case err != nil:
		return fmt.Errorf("%w: %w", errEgress, err)
	}
	// Its body is not closed, which would read it: to CONNECT done there is none,
	// whatever the headers say (RFC 9110 §9.3.6), and otherwise the connection ends.
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		if reader.Buffered() > 0 {
			return fmt.Errorf("%w: it speaks before the target was spoken to", errEgress)
		}
		return nil
	case code == http.StatusForbidden:
		return errEgressRefused
	case code == http.StatusBadGateway || code == http.StatusServiceUnavailable:
		return errEgressConnect
	case code == http.StatusGatewayTimeout:
		return errEgressTimeout
	default:
		return fmt.Errorf("%w: it answers CONNECT with %d", errEgress, code)
	}
}
