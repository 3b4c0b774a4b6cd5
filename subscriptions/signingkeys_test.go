package subscriptions

import (
	"bytes"
	"crypto/ed25519"
	"net/http"
	"testing"

	"github.com/MicahParks/jwkset"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

func signingKeys(t *testing.T, first ...byte) *SigningKeys {
	t.Helper()
	var masters [][]byte
	for _, b := range first {
		masters = append(masters, bytes.Repeat([]byte{b}, 32))
	}
	keys, err := NewSigningKeys(masters)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestEachSubscriptionHasKeysOfItsOwnForGood(t *testing.T) {
	keys := signingKeys(t, 1, 2)
	a, again, b := keys.Of("0-a"), signingKeys(t, 1, 2).Of("0-a"), keys.Of("0-b")
	if len(a) != 2 || !a[0].Equal(again[0]) || a[0].Equal(a[1]) || a[0].Equal(b[0]) {
		t.Error("keys are not the same for one subscription, or not different for two")
	}
	if changed := signingKeys(t, 3, 1).Of("0-a"); !changed[1].Equal(a[0]) {
		t.Error("an older key is another one once it stands second")
	}
	for _, masters := range [][][]byte{nil, {{1}}, make([][]byte, 5)} {
		if _, err := NewSigningKeys(masters); err == nil {
			t.Errorf("%v were taken", masters)
		}
	}
}

func TestAnybodyReadsASubscriptionsPublicKeysAndLearnsNothingElse(t *testing.T) {
	keys := signingKeys(t, 1, 2)
	r := newRig(t, redistest.Mini(t), func(o *HandlerOptions) { o.SigningKeys = keys })
	made := r.subscribe(t, "ann")
	read := func(id string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.URL+base+id+"/jwks.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.do(t, req)
	}
	got := read(made.ID)
	if got.status != 200 || got.header.Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d, %v", got.status, got.header)
	}
	var parsed jwkset.JWKSMarshal
	got.into(t, &parsed)
	stored, err := parsed.ToStorage()
	if err != nil {
		t.Fatal(err)
	}
	all, err := stored.KeyReadAll(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%d keys, %v", len(all), err)
	}
	for i, one := range all {
		if key, ok := one.Key().(ed25519.PublicKey); !ok || !key.Equal(keys.Of(made.ID)[i].Public()) {
			t.Errorf("key %d is %v", i, one.Key())
		}
	}
	// There is none of this id, and nobody can tell.
	if other := read("0-01jdd0tz1c0000000000000000"); other.status != 200 {
		t.Errorf("an id of nobody's: %d", other.status)
	}
	read("nobody").wantProblem(t, 404, "not-found")
	if r.send(t, "ann", "POST", base+made.ID+"/jwks.json", "{}").status != http.StatusMethodNotAllowed {
		t.Error("POST was taken")
	}
}

func TestASignatureIsAskedForOnlyWhereThereAreKeys(t *testing.T) {
	s := redistest.Mini(t)
	with := newRig(t, s, func(o *HandlerOptions) { o.SigningKeys = signingKeys(t, 1) })
	var made resource
	with.send(t, "ann", "POST", base, `{"event":"deal.won",`+good+`,"signature":"v1a"}`).want(t, 201).into(t, &made)
	if made.Signature != SignatureV1A || len(made.PublicKeys) != 1 {
		t.Errorf("made %+v", made)
	}
	without := newRig(t, s)
	for _, value := range []string{`"v1a"`, `"both"`, `"v2"`, `""`, `1`} {
		without.send(t, "bob", "POST", base, `{"event":"deal.won",`+good+`,"signature":`+value+`}`).wantProblem(t, 422, "invalid", "signature")
	}
	without.send(t, "ann", "PATCH", base+made.ID+"/", `{"description":"kept"}`).want(t, 200)
	without.send(t, "ann", "PATCH", base+made.ID+"/", `{"signature":null}`).want(t, 200)
}
