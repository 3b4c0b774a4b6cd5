package delivery

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/hookproxy/hookproxy/internal/nametest"
	"github.com/hookproxy/hookproxy/subscriptions"
)

// failingDial answers a sender that cannot connect for this reason.
func failingDial(t *testing.T, op string, reason error) *sender {
	t.Helper()
	s := testSender(t, nil)
	s.transport.plain.DialContext = s.watched(func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError("socket", reason)}
	})
	return s
}

func TestWhatOurMachineLacksChargesNobody(t *testing.T) {
	for _, reason := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		a := failingDial(t, "dial", reason).send(t.Context(), testDelivery("http://hook.test/"))
		if a.outcome != Released || a.class != classOurLimits || a.after != ownFaultPause {
			t.Errorf("%v: %+v", reason, a)
		}
	}
	for _, reason := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ECONNRESET} {
		if a := failingDial(t, "dial", reason).send(t.Context(), testDelivery("http://hook.test/")); a.outcome != Failed || a.class != classConnect {
			t.Errorf("%v: %+v", reason, a)
		}
	}
}

func TestNoDescriptorForALookUpChargesNobody(t *testing.T) {
	s := testSender(t, func(o *Options) {
		o.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}}
	})
	s.resolved.Store(time.Now().UnixNano()) // so that a DNS server that is down is not the reason
	a := s.send(t.Context(), testDelivery("http://hook.test/"))
	if a.outcome != Released || a.class != classOurLimits {
		t.Errorf("attempt %+v", a)
	}
}

// ownFaults are engines that cannot do their work, each in its way.
func ownFaults(t testing.TB) map[string]func(*Options) {
	sealer := must(subscriptions.NewSealer([][]byte{make([]byte, 32)}))
	return map[string]func(*Options){
		"the DNS server fails": func(o *Options) {
			o.Resolver = nametest.Failing(t, dnsmessage.RCodeServerFailure)
		},
		"the egress proxy is away": func(o *Options) {
			o.EgressProxy = must(url.Parse("http://127.0.0.1:1"))
			o.Resolver = nametest.Resolver(t, func(string) []string { return []string{"127.0.0.2"} })
		},
		"the secret is sealed with another key": func(o *Options) { o.Secrets = sealer },
	}
}

func TestAFaultOfOursSpendsNoAttemptAndDisablesNobody(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		for name, fault := range ownFaults(r.TB) {
			id := r.subscribe("a", "contact.create", "http://hook.test:8080/")
			other := must(subscriptions.NewSealer([][]byte{[]byte(strings.Repeat("x", 32))}))
			if strings.Contains(name, "sealed") {
				r.client.HSet(r.Context(), r.lane.Subscription(id), "secret", other.Seal(id, testSecret))
			}
			stop := r.run(r.engine(fault))
			r.push(event(1))
			r.eventually(name+": the delivery waits again", func() bool { return len(r.keys("retry:")) == 1 })
			stop()
			if failures, attempts := r.field(id, "failures"), r.client.XLen(r.Context(), r.lane.Attempts(id)).Val(); failures != "" || attempts != 0 {
				r.Errorf("%s: %s failures and %d attempts are recorded", name, failures, attempts)
			}
			r.pass(ownFaultPause + time.Second)
			if d := r.takeOne(); d.tries != 0 {
				r.Errorf("%s: charged with %d tries", name, d.tries)
			}
			r.client.FlushAll(r.Context())
		}
	})
}

func TestASubscriptionForV1AWaitsForItsKeyAndIsNeverSentUnsigned(t *testing.T) {
	onEachRedis(t, func(r *rig) {
		url, got := receive(r, status(200))
		id := r.subscribe("a", "contact.create", url)
		r.client.HSet(r.Context(), r.lane.Subscription(id), "signature", subscriptions.SignatureV1A, "headers", `{"X-Env":"prod","X-Hook-Event":"forged"}`)
		stop := r.run(r.engine(nil))
		r.push(event(1))
		r.eventually("the delivery waits again", func() bool { return len(r.keys("retry:")) == 1 })
		stop()
		if len(got) != 0 {
			r.Fatalf("sent without a key: %v", (<-got).header)
		}
		r.pass(ownFaultPause + time.Second)
		keys := must(subscriptions.NewSigningKeys([][]byte{make([]byte, 32)}))
		stop = r.run(r.engine(func(o *Options) { o.SigningKeys = keys }))
		one := r.arrive(got, 1)[0]
		stop()
		h := one.header
		if h.Get("X-Env") != "prod" || h.Get("X-Hook-Event") != "contact.create" || h.Get("X-Hook-Attempt") != "1" || h.Get("X-Hook-Signature") != "" {
			r.Errorf("arrived with %v", h)
		}
		want := asymmetricSignature(keys.Of(id)[0], h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), one.body)
		if got := h.Get("Webhook-Signature"); got != want {
			r.Errorf("signed %s, want %s", got, want)
		}
		r.wantNothingLeft()
	})
}

func TestAForgedV1ASignatureIsAnotherOne(t *testing.T) {
	a, b := ed25519.NewKeyFromSeed(make([]byte, 32)), ed25519.NewKeyFromSeed([]byte(strings.Repeat("b", 32)))
	one := asymmetricSignature(a, "id", "1", []byte("{}"))
	for _, other := range []string{
		asymmetricSignature(b, "id", "1", []byte("{}")), asymmetricSignature(a, "id", "2", []byte("{}")),
		asymmetricSignature(a, "ie", "1", []byte("{}")), asymmetricSignature(a, "id", "1", []byte("{} ")),
	} {
		if one == other {
			t.Error("a signature is the same for something else")
		}
	}
}
