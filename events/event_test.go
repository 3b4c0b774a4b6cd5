package events

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// drawEvent draws an event as rules can derive them: any text in any field.
func drawEvent(t *rapid.T) Event {
	text := rapid.String()
	filled := rapid.StringN(1, -1, -1)
	return Event{
		ID: filled.Draw(t, "id"), Name: filled.Draw(t, "name"), User: text.Draw(t, "user"), Resource: text.Draw(t, "resource"),
		URL:      text.Draw(t, "URL"),
		Time:     time.UnixMilli(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC(),
		Rule:     text.Draw(t, "rule"),
		Payload:  rapid.SliceOf(rapid.Byte()).Draw(t, "payload"),
		Omitted:  text.Draw(t, "omitted"),
		Redacted: rapid.SliceOf(text).Draw(t, "redacted"),
		Parked:   text.Draw(t, "parked"),
	}
}

func TestWhatIsEncodedIsDecodedUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEvent(t)
		element, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(element)
		if err != nil {
			t.Fatalf("decode %q: %v", element, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAPlainEventIsEncodedAsAnyOtherIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		e.Redacted = nil
		text := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[ -~]{1,20}`))
		e.ID, e.Name, e.User, e.Resource, e.URL = text.Draw(t, "id"), text.Draw(t, "name"), text.Draw(t, "user"), text.Draw(t, "resource"), text.Draw(t, "URL")
		e.Rule, e.Omitted, e.Parked = text.Draw(t, "rule"), text.Draw(t, "omitted"), text.Draw(t, "parked")
		memory := make([]byte, 0, e.room())
		plain, ok := e.encodePlain(memory)
		if ok && cap(plain) != cap(memory) {
			t.Fatalf("%d bytes do not fit into %d", len(plain), cap(memory))
		}
		if want, err := e.encodeAny(); err != nil || ok && !bytes.Equal(plain, want) {
			t.Fatalf("%s, want %s; %v", plain, want, err)
		}
	})
	usual := newEvent("1")
	if _, ok := usual.encodePlain(nil); !ok {
		t.Error("the usual event is not plain")
	}
}

func TestThePayloadStaysByteForByte(t *testing.T) {
	// Each of these changes when JSON is decoded and encoded again.
	for _, payload := range []string{`{"a": "<b>&"}`, `{"n":12345678901234567890}`, `{"e":[],"o":{}}`, "{\n}\n", "\xff\x00\n"} {
		e := newEvent("1")
		e.Payload = []byte(payload)
		element, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(element, []byte("\n"))
		if string(body) != payload {
			t.Errorf("the element's payload is %q; want %q", body, payload)
		}
	}
}

func TestTheHeaderHasTheNamesThatDispatchReads(t *testing.T) {
	e := newEvent("01jd")
	e.Resource, e.Parked = "7", "user_unknown"
	element, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"01jd","event":"contact.create","user":"42","resource":"7","at":1700000000000,"rule":"rules.yaml:3","parked":"user_unknown"}` +
		"\n" + `{"id":1}`
	if string(element) != want {
		t.Errorf("the element is\n%s\nwant\n%s", element, want)
	}
}

func TestWhatEncodeNeverWroteIsMalformed(t *testing.T) {
	for _, element := range []string{"", "\n", "{}", "{}\n", "null\n", "[]\n", "{\"id\":\"1\"}\n", "{\"event\":\"a.b\"}\n",
		"{\"id\":1,\"event\":\"a.b\"}\n", "{\"id\":\"1\",\"event\":\"a.b\"}", "{\"id\":\"1\",\"event\":\"a.b\"}}\n"} {
		if e, err := Decode([]byte(element)); !errors.Is(err, ErrMalformed) {
			t.Errorf("Decode(%q) is %+v, %v; want ErrMalformed", element, e, err)
		}
	}
}

// FuzzDecode hands Decode what may stand on the list by any hand.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("{\"id\":\"1\",\"event\":\"a.b\",\"at\":1}\n{}"))
	f.Add([]byte("{\"id\":\"1\",\"event\":\"a.b\",\"redacted\":[],\"at\":-9223372036854775808}\n"))
	f.Add([]byte(strings.Repeat("[", 100) + "\n"))
	f.Fuzz(func(t *testing.T, element []byte) {
		e, err := Decode(element)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v is not ErrMalformed", err)
			}
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("what was decoded and encoded cannot be decoded: %v", err)
		}
		if diff := cmp.Diff(e, back, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAHeaderFullOfRedactionsStaysReadableForDispatch(t *testing.T) {
	e := newEvent("a")
	for range 64 {
		e.Redacted = append(e.Redacted, strings.Repeat("\x01", 256)) // six bytes each in JSON
	}
	element, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if head := bytes.IndexByte(element, '\n'); head+1 > MaxHeader {
		t.Errorf("the header has %d bytes; dispatch reads %d", head, MaxHeader)
	}
	got, err := Decode(element)
	if err != nil || got.ID != "a" || len(got.Redacted) == 0 || !bytes.Equal(got.Payload, e.Payload) {
		t.Errorf("decoded %v with %d redactions, %v", got.ID, len(got.Redacted), err)
	}
}
