package subscriptions

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookproxy/hookproxy/internal/redistest"
)

// bring answers a secret of so many bytes, as a subscriber may bring it.
func bring(bytes int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", bytes)))
}

func TestARotatedSecretOverlapsWithTheOneBefore(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		r := newRig(t, s)
		made := r.subscribe(t, "ann")
		path := base + made.ID + "/rotate-secret"
		rotate := func(body string) resource {
			t.Helper()
			var got resource
			r.send(t, "ann", "POST", path, body).want(t, 200).into(t, &got)
			return got
		}
		kept := func(secret, previous string, overlap time.Duration) {
			t.Helper()
			got := hash(t, s.Client, made.ID)
			if got["secret"] != secret || got["previous_secret"] != previous || (got["previous_secret_until"] == "") != (previous == "") {
				t.Errorf("the hash is %v", got)
			}
			sub, err := r.store.Get(t.Context(), "ann", made.ID)
			if err != nil {
				t.Fatal(err)
			}
			if previous != "" && sub.PreviousSecretUntil.Sub(sub.UpdatedAt) != overlap {
				t.Errorf("rotated at %s, the one before counts until %s", sub.UpdatedAt, sub.PreviousSecretUntil)
			}
		}
		first := rotate("")
		if checkSecret(first.Secret) != nil || first.Secret == made.Secret || first.SecretUntil == nil {
			t.Errorf("rotated, it is %+v", first)
		}
		kept(first.Secret, made.Secret, DefaultOverlap)
		if got := rotate(`{"secret":"` + bring(24) + `","overlap_seconds":60}`); got.Secret != bring(24) {
			t.Errorf("with a secret brought, it is %+v", got)
		}
		kept(bring(24), first.Secret, time.Minute)
		last := rotate(`{"overlap_seconds":0}`)
		kept(last.Secret, "", 0)

		for body, field := range map[string]string{
			`{"secret":"short"}`: "secret", `{"secret":null}`: "secret", `{"overlap_seconds":-1}`: "overlap_seconds", `{"overlap_seconds":604801}`: "overlap_seconds",
			`{"overlap_seconds":1.5}`: "overlap_seconds", `{"overlap_seconds":"1"}`: "overlap_seconds", `{"active":true}`: "active", `[]`: "",
		} {
			r.send(t, "ann", "POST", path, body).wantProblem(t, 422, "invalid", field)
		}
		r.send(t, "ann", "POST", path, "", "If-Match", `"x"`).wantProblem(t, 412, "precondition-failed")
		r.send(t, "bob", "POST", path, "").wantProblem(t, 404, "not-found")
		kept(last.Secret, "", 0)
		if got := r.send(t, "ann", "GET", base+made.ID, "").want(t, 200); strings.Contains(got.body, "whsec_") {
			t.Errorf("the secret is shown again: %s", got.body)
		}
		if log := r.log.String(); strings.Contains(log, "whsec_") {
			t.Errorf("a secret is in the log:\n%s", log)
		}
	})
}

func TestASubscriberMayBringASecret(t *testing.T) {
	r := newRig(t, redistest.Mini(t))
	body := func(secret string) string { return `{"event":"deal.won",` + good + `,"secret":"` + secret + `"}` }
	for _, bad := range []string{
		"", "x", "whsec_", bring(23), bring(65), bring(32)[6:], bring(25)[:len(bring(25))-2], "whsec_" + strings.Repeat("!", 40), bring(24) + `\n`, "WHSEC_" + bring(24)[6:],
		bring(26)[:len(bring(26))-2] + "1=",
	} {
		r.send(t, "ann", "POST", base, body(bad)).wantProblem(t, 422, "invalid", "secret")
	}
	var made resource
	r.send(t, "ann", "POST", base, body(bring(64))).want(t, 201).into(t, &made)
	if made.Secret != bring(64) {
		t.Errorf("the secret is %s", made.Secret)
	}
	r.send(t, "ann", "POST", base, body(bring(64))).want(t, 200)
	before := hash(t, r.redis.Client, made.ID)
	other := strings.Replace(body(bring(24)), "{", `{"expiration_date":"2099-01-01T00:00:00Z",`, 1)
	r.send(t, "ann", "POST", base, other).wantProblem(t, 409, "other-secret")
	if diff := cmp.Diff(before, hash(t, r.redis.Client, made.ID)); diff != "" {
		t.Errorf("what was refused changed it (-before +after):\n%s", diff)
	}
	r.send(t, "ann", "PATCH", base+made.ID, `{"secret":"`+bring(24)+`"}`).wantProblem(t, 422, "invalid", "secret")
}

func TestWithAKeyNoSecretStandsInRedis(t *testing.T) {
	redistest.Run(t, func(t *testing.T, s *redistest.Server) {
		oldKey, newKey := []byte(strings.Repeat("o", 32)), []byte(strings.Repeat("n", 32))
		sealed := func(keys ...[]byte) *rig {
			sealer, err := NewSealer(keys)
			if err != nil {
				t.Fatal(err)
			}
			return newRig(t, s, func(o *HandlerOptions) { o.Store = NewStore(StoreOptions{Client: s.Client, Secrets: sealer}) })
		}
		plain, old := newRig(t, s), sealed(oldKey)
		before, made := plain.subscribe(t, "bob"), old.subscribe(t, "ann")
		at := hash(t, s.Client, made.ID)["secret"]
		if strings.Contains(at, made.Secret[6:]) || !strings.HasPrefix(at, "sealed:") {
			t.Errorf("Redis holds %s", at)
		}
		// What was read with its secret can be sent back: it is opened again, by
		// the old key and without one.
		for _, call := range []struct {
			r      *rig
			user   string
			id     string
			secret string
		}{{old, "ann", made.ID, made.Secret}, {sealed(newKey, oldKey), "ann", made.ID, made.Secret}, {old, "bob", before.ID, before.Secret}} {
			call.r.send(t, call.user, "PUT", base+call.id, `{"event":"contact.create",`+good+`,"secret":"`+call.secret+`"}`).want(t, 200)
		}
		var rotated resource
		sealed(newKey, oldKey).send(t, "ann", "POST", base+made.ID+"/rotate-secret", "").want(t, 200).into(t, &rotated)
		got := hash(t, s.Client, made.ID)
		if got["previous_secret"] != at || got["secret"] == rotated.Secret || got["secret"][:16] == at[:16] {
			t.Errorf("rotated with a new key, the hash is %v", got)
		}
		// Without the key, all but the secret can still be seen and changed.
		plain.send(t, "ann", "PATCH", base+made.ID, `{"active":false}`).want(t, 200)
		plain.send(t, "ann", "DELETE", base+made.ID, "").want(t, 204)
	})
}

func TestASealedSecretOpensWithItsKeyForItsSubscriptionAlone(t *testing.T) {
	key := func(c string) []byte { return []byte(strings.Repeat(c, 32)) }
	sealer := func(keys ...[]byte) *Sealer {
		s, err := NewSealer(keys)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	kept := sealer(key("a")).Seal("0-x", bring(24))
	if kept == sealer(key("a")).Seal("0-x", bring(24)) {
		t.Error("the same secret looks the same twice")
	}
	for _, s := range []*Sealer{sealer(key("a")), sealer(key("b"), key("a"))} {
		if got, err := s.Open("0-x", kept); got != bring(24) || err != nil {
			t.Errorf("it opens as %q, %v", got, err)
		}
	}
	var none *Sealer
	for _, c := range []struct {
		s        *Sealer
		id, kept string
	}{
		{sealer(key("b")), "0-x", kept}, {sealer(key("a")), "0-y", kept}, {none, "0-x", kept}, {sealer(key("a")), "0-x", kept[:len(kept)-8]},
		{sealer(key("a")), "0-x", kept[:20] + "AAAA" + kept[24:]}, {sealer(key("a")), "0-x", "sealed:"}, {sealer(key("a")), "0-x", "sealed:x:!"},
	} {
		if got, err := c.s.Open(c.id, c.kept); got != "" || err != ErrSealed {
			t.Errorf("%s opens as %q, %v", c.kept, got, err)
		}
	}
	if got, err := none.Open("0-x", none.Seal("0-x", bring(24))); got != bring(24) || err != nil {
		t.Errorf("without keys it is %q, %v", got, err)
	}
	for _, text := range []string{"", "x", "AAAA", base64.StdEncoding.EncodeToString(key("a")) + ","} {
		if keys, err := ParseKeys(text); err == nil {
			t.Errorf("%q is read as %d keys", text, len(keys))
		}
	}
	text := base64.StdEncoding.EncodeToString(key("a")) + ", " + base64.StdEncoding.EncodeToString(key("b"))
	if keys, err := ParseKeys(text); err != nil || len(keys) != 2 || string(keys[1]) != string(key("b")) {
		t.Errorf("two keys are %q, %v", keys, err)
	}
	if _, err := NewSealer([][]byte{key("a")[:16]}); err == nil {
		t.Error("a short key seals")
	}
	if _, err := NewSealer(nil); err == nil {
		t.Error("no key seals")
	}
}
