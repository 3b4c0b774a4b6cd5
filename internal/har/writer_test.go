package har

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rewritten writes an entry and reads it again.
func rewritten(t testing.TB, e Entry) Entry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "session.har")
	w, err := Create(path, 0, Creator{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(e); err != nil {
		t.Fatal(err)
	}
	return readFile(t, path).Entries[0]
}

func readFile(t testing.TB, path string) *Log {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := Read(bytes.NewReader(source))
	if err != nil {
		t.Fatalf("%v in %s", err, source)
	}
	return log
}

func exchange(t testing.TB) Entry {
	t.Helper()
	u, err := url.Parse("http://api/contacts?x=%20")
	if err != nil {
		t.Fatal(err)
	}
	return Entry{
		Started: time.Date(2026, 1, 2, 3, 4, 5, 678901e3, time.UTC), Took: 5 * time.Millisecond, User: "42", Own: true,
		Request:  Request{Method: "POST", URL: u, Header: http.Header{"Content-Type": {"application/json"}, "A": {"1", "2"}}, Body: []byte("{\"a\": \"<ä\u2028\"}\n")},
		Response: Response{Status: 201, Header: http.Header{"Location": {"/contacts/7"}}, Body: []byte("\xff\x00"), Size: -1},
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	e := exchange(t)
	if diff := cmp.Diff(e, rewritten(t, e)); diff != "" {
		t.Error(diff)
	}
	e.Response.Body, e.Response.Size, e.Response.Omitted, e.Request.Omitted, e.Request.Body = nil, 5<<20, "too_large", "truncated", nil
	got := rewritten(t, e)
	got.Request.Body = nil
	if diff := cmp.Diff(e, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheFileIsWholeAfterEachEntryAndGoneOnWith(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session.har")
	for i := range 4 {
		w, err := Create(path, 0, Creator{Name: "hookproxy", Version: "1"}, "/v1") // without Close, as after a kill
		if err != nil {
			t.Fatal(err)
		}
		if got := len(readFile(t, path).Entries); got != 2*i {
			t.Errorf("%d entries, want %d", got, 2*i)
		}
		for range 2 {
			if err := w.Add(exchange(t)); err != nil {
				t.Fatal(err)
			}
		}
		log := readFile(t, path)
		if len(log.Entries) != 2*i+2 || log.CutOff || log.BasePath != "/v1" || log.Creator.Name != "hookproxy" {
			t.Errorf("%+v", log)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
}

func TestAFullRecordingStaysWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session.har")
	w, err := Create(path, 4000, Creator{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	added := 0
	for ; err == nil; added++ {
		err = w.Add(exchange(t))
	}
	if !errors.Is(err, ErrFull) || added < 2 {
		t.Error(added, err)
	}
	if info, _ := os.Stat(path); info.Size() > 4000 || len(readFile(t, path).Entries) != added-1 {
		t.Error(info.Size(), added)
	}
}

func TestNothingOfOthersIsWrittenOver(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"notes.txt": "mine", "other.har": `{"log":{"entries":[]}}`} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(path, 0, Creator{}, ""); err == nil || !strings.Contains(err.Error(), "no recording that could be gone on with") {
			t.Error(err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	if _, err := Create(dir, 0, Creator{}, ""); err == nil {
		t.Error("a directory is no file")
	}
}
