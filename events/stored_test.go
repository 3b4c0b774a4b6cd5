package events

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzStoredHeadersAreReadAsJSONIs compares what is read by hand with encoding/json.
func FuzzStoredHeadersAreReadAsJSONIs(f *testing.F) {
	for _, head := range []string{
		`["contact.create","contact/1",1764335628000,"contacts","too_large"]`, `["contact.create","",1764335628000]`, `["contact.create"]`,
		`["a","b",0]`, `["a","b",-1]`, `["a","b",1.5]`, `["a","b",1e3]`, `["a","b",007]`, `["a","b",1_0]`, `["a","b",99999999999999999999]`, `["a","b",+1]`,
		`["a","b\\u0041",1]`, `["a","größer",1]`, `["a","b",1,"r","o",["x"],"/url"]`, `["a","b",1,"r","",null,"/url"]`, `["a" , "b"]`, `["a",]`, `["a"]]`,
		`["a","b",1,"r","o",]`, `["a","b"`, `[`, `[]`, ``, `{}`, `["a",null]`, `["a","b",1 ]`, "[\"a\tb\"]", "[\"a\x7f\"]", `["a","b","1"]`, `["a",1]`,
	} {
		f.Add(head)
	}
	f.Fuzz(func(t *testing.T, head string) {
		if strings.Contains(head, "\n") {
			t.Skip("a header ends there")
		}
		got, err := DecodeStored("id", []byte(head+"\n{}"))
		want, at := Event{ID: "id", Payload: []byte("{}")}, int64(0)
		fields := []any{&want.Name, &want.Resource, &at, &want.Rule, &want.Omitted, &want.Redacted, &want.URL}
		wantErr := json.Unmarshal([]byte(head), &fields)
		want.Time = time.UnixMilli(at).UTC()
		switch valid := wantErr == nil && want.Name != ""; {
		case (err == nil) != valid:
			t.Errorf("%q is read with %v, by encoding/json with %v", head, err, wantErr)
		case valid && !reflect.DeepEqual(got, want):
			t.Errorf("%q is read as %+v, want %+v", head, got, want)
		}
	})
}
