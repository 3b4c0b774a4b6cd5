package identity

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keySet serves a JWKS that a test can change.
type keySet struct {
	*httptest.Server
	asked chan *http.Request // each reading; nobody need listen

	mu     sync.Mutex
	status int
	body   []byte
}

func newKeySet(t testing.TB, keys ...map[string]any) *keySet {
	t.Helper()
	s := &keySet{asked: make(chan *http.Request, 1000), status: http.StatusOK}
	s.set(keys...)
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *keySet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked <- r
	s.mu.Lock()
	defer s.mu.Unlock()
	w.WriteHeader(s.status)
	_, _ = w.Write(s.body)
}

func (s *keySet) set(keys ...map[string]any) {
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	s.answer(http.StatusOK, string(body))
}

func (s *keySet) answer(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, []byte(body)
}

func (s *keySet) wantReadings(t testing.TB, want int) {
	t.Helper()
	if got := len(s.asked); got != want {
		t.Errorf("the key set was read %d times, want %d", got, want)
	}
}

// chain makes a chain that reads the set, with a clock.
func (s *keySet) chain(t testing.TB, o Options) (*Chain, *clock) {
	t.Helper()
	entry := rsaEntry(t)
	entry.Keys, entry.JWKS = nil, s.URL+"/keys"
	clock := &clock{}
	o.Entries, o.Now = []Entry{entry}, clock.now
	c := newChain(t, o)
	t.Cleanup(func() { _ = c.Close() })
	return c, clock
}

func withKey(t testing.TB, kid string) string {
	return signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(), map[string]any{"kid": kid})
}

func TestKeysAreReadOnceAndAgainWhenATokenNamesAnother(t *testing.T) {
	s := newKeySet(t, jwkOf("1", &otherRSAKey().PublicKey))
	c, clock := s.chain(t, Options{})
	first := signed(t, jwt.SigningMethodRS256, otherRSAKey(), goodClaims(), map[string]any{"kid": "1"})
	wantToken(t, c, first, "ann")
	wantToken(t, c, first, "ann")
	s.wantReadings(t, 1)
	s.set(jwkOf("1", &otherRSAKey().PublicKey), jwkOf("2", &rsaKey().PublicKey))
	clock.advance(keysPause)
	wantToken(t, c, withKey(t, "2"), "ann")
	wantToken(t, c, first, "ann")
	s.wantReadings(t, 2)
	wantRefused(t, c, withKey(t, "1")) // known, but not the key it was signed with
	// Ids that strangers make up are asked for once in a while, not each time.
	for _, kid := range []string{"3", "4", "5"} {
		wantRefused(t, c, withKey(t, kid))
	}
	s.wantReadings(t, 2)
	clock.advance(keysPause)
	for _, kid := range []string{"3", "4", "5"} {
		wantRefused(t, c, withKey(t, kid))
	}
	s.wantReadings(t, 3)
	wantToken(t, c, signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims(), nil), "ann") // names no key
}

func TestKeysStayInUseWhileNewerOnesCannotBeRead(t *testing.T) {
	s := newKeySet(t, jwkOf("1", &rsaKey().PublicKey))
	var log bytes.Buffer
	c, clock := s.chain(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	wantToken(t, c, withKey(t, "1"), "ann")
	<-s.asked
	for _, broken := range []string{`nonsense`, `{"keys":[]}`, `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"1"}]}`, `{}`, strings.Repeat(" ", maxKeySet+1)} {
		s.answer(http.StatusOK, broken)
		clock.advance(keysPause)
		wantError(t, c, request("Authorization", "Bearer "+withKey(t, "2")), ErrUnavailable) // it may be new
		<-s.asked
		wantToken(t, c, withKey(t, "1"), "ann")
	}
	s.Close()
	clock.advance(keysPause)
	wantError(t, c, request("Authorization", "Bearer "+withKey(t, "2")), ErrUnavailable)
	wantToken(t, c, withKey(t, "1"), "ann")
	if !strings.Contains(log.String(), "the issuer's keys cannot be read") {
		t.Errorf("the log is:\n%s", log.String())
	}
}

func TestOldKeysAreReadAgainWhileTheyAreUsed(t *testing.T) {
	s := newKeySet(t, jwkOf("1", &rsaKey().PublicKey))
	c, clock := s.chain(t, Options{})
	long := signed(t, jwt.SigningMethodRS256, rsaKey(), goodClaims("exp", now.Add(24*time.Hour).Unix()), map[string]any{"kid": "1"})
	wantToken(t, c, long, "ann")
	<-s.asked
	s.set(jwkOf("2", &rsaKey().PublicKey)) // key 1 is withdrawn
	clock.advance(keysFor)
	wantToken(t, c, long, "ann") // answered at once, with the keys at hand
	<-s.asked
	// The reading goes on by itself; whoever names key 2 joins it or finds it done.
	wantToken(t, c, withKey(t, "2"), "ann")
	clock.advance(keysPause)
	wantRefused(t, c, long)
}

func TestWithoutAnyKeysIdentityIsUnavailable(t *testing.T) {
	s := newKeySet(t)
	c, clock := s.chain(t, Options{})
	s.answer(http.StatusInternalServerError, "")
	wantError(t, c, request("Authorization", "Bearer "+withKey(t, "1")), ErrUnavailable)
	wantError(t, c, request("Authorization", "Bearer "+withKey(t, "1")), ErrUnavailable)
	s.wantReadings(t, 1) // an outage is not made worse
	s.set(jwkOf("1", &rsaKey().PublicKey))
	clock.advance(keysPause)
	wantToken(t, c, withKey(t, "1"), "ann")
}

func TestASlowKeySetIsNotWaitedForForEver(t *testing.T) {
	entered := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(entered); <-r.Context().Done() }))
	defer slow.Close()
	entry := rsaEntry(t)
	entry.Keys, entry.JWKS = nil, slow.URL
	c := newChain(t, Options{Entries: []Entry{entry}, Now: new(clock).now, Timeout: 20 * time.Millisecond})
	defer func() { _ = c.Close() }()
	wantError(t, c, request("Authorization", "Bearer "+withKey(t, "1")), ErrUnavailable)
	<-entered
}

func TestOnlyPublicSignatureKeysOfTheNamedAlgorithmsAreTaken(t *testing.T) {
	good := jwkOf("1", &rsaKey().PublicKey)
	odd := func(kid string, change map[string]any) map[string]any {
		key := maps.Clone(good)
		key["kid"] = kid
		maps.Copy(key, change)
		return key
	}
	s := newKeySet(t, odd("enc", map[string]any{"use": "enc"}), odd("RS512", map[string]any{"alg": "RS512"}), odd("kty", map[string]any{"kty": "XYZ"}),
		odd("n", map[string]any{"n": "AQAB"}), odd("ops", map[string]any{"kty": 1}), good)
	c, _ := s.chain(t, Options{})
	wantToken(t, c, withKey(t, "1"), "ann")
	for _, kid := range []string{"enc", "RS512", "kty", "n", "ops"} {
		wantRefused(t, c, withKey(t, kid))
	}
}

func TestAKeySetAtTheUpstreamIsAPath(t *testing.T) {
	s := newKeySet(t, jwkOf("1", &rsaKey().PublicKey))
	base, err := url.Parse(s.URL + "/base")
	if err != nil {
		t.Fatal(err)
	}
	entry := rsaEntry(t)
	entry.Keys, entry.JWKS = nil, "/.well-known/jwks.json"
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := newChain(t, Options{Upstream: base, Transport: transport, Entries: []Entry{entry}, Now: new(clock).now})
	wantToken(t, c, withKey(t, "1"), "ann")
	r := <-s.asked
	if r.URL.Path != "/base/.well-known/jwks.json" || r.Header.Get("Authorization") != "" || r.Host != base.Host {
		t.Errorf("the set was asked for at %s%s with %v", r.Host, r.URL.Path, r.Header)
	}
}

func TestAKeySetBehindTLSNeedsACertificateThatIsTrusted(t *testing.T) {
	s := newKeySet(t, jwkOf("1", &rsaKey().PublicKey))
	secure := httptest.NewTLSServer(s)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer secure.Close()
	entry := rsaEntry(t)
	entry.Keys, entry.JWKS = nil, secure.URL+"/keys"
	ask := func() *Chain {
		c := newChain(t, Options{Entries: []Entry{entry}, Now: new(clock).now})
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	wantError(t, ask(), request("Authorization", "Bearer "+withKey(t, "1")), ErrUnavailable)
	entry.CA = keyFile(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})).File
	wantToken(t, ask(), withKey(t, "1"), "ann")
}
