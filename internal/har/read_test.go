package har

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// entryWith is a file of one entry: its request and response as JSON.
func entryWith(request, response string) string {
	return `{"log":{"version":"1.2","entries":[{"startedDateTime":"2026-01-02T03:04:05.678Z","time":1.5,"request":` + request + `,"response":` + response + `}]}}`
}

const (
	someRequest  = `{"method":"POST","url":"https://api.example.com/contacts?x=1"}`
	someResponse = `{"status":201}`
)

func read(t testing.TB, source string) Entry {
	t.Helper()
	log, err := Read(strings.NewReader(source))
	if err != nil {
		t.Fatal(err)
	}
	if len(log.Entries) != 1 || log.CutOff {
		t.Fatalf("%d entries, cut off: %t", len(log.Entries), log.CutOff)
	}
	return log.Entries[0]
}

func TestEveryMistakeNamesTheEntryAndTheMember(t *testing.T) {
	good := entryWith(someRequest, someResponse)
	second := strings.Replace(good, `]}}`, `,{"request":{}}]}}`, 1)
	for source, want := range map[string]string{
		``:                              "ends before its entries",
		`{"log":{"entries"`:             "ends before its entries",
		`nonsense`:                      "not JSON",
		`[]`:                            "the file: expected an object, found a list",
		`7`:                             "the file: expected an object, found a number",
		`null`:                          "found null",
		`{}`:                            "without the member log",
		`{"log":"x"}`:                   "log: expected an object, found a text",
		`{"log":{}}`:                    "log: expected the member entries",
		`{"log":{"entries":{}}}`:        "log.entries: expected a list, found an object",
		`{"log":{"entries":[7]}}`:       "entry 0",
		`{"log":{"entries":[{}]}}`:      "entry 0: request: missing",
		`{"log":{"creator":7}}`:         "log.creator",
		second:                          "entry 1: response: missing",
		`{"log":{"entries":[{"a" 7}]}}`: "entry 0: not JSON at byte",
		strings.Replace(good, `"2026-01-02T03:04:05.678Z"`, `"yesterday"`, 1):                                     `entry 0: startedDateTime: expected a time such as`,
		strings.Replace(good, `"2026-01-02T03:04:05.678Z"`, `7`, 1):                                               `entry 0: startedDateTime: expected a text, found a JSON number`,
		entryWith(`{"url":"http://a/"}`, someResponse):                                                            "entry 0: request.method: missing",
		entryWith(`{"method":"PO ST","url":"http://a/"}`, someResponse):                                           "entry 0: request.method: expected one such as POST",
		entryWith(`{"method":["POST"],"url":"http://a/"}`, someResponse):                                          "entry 0: request.method: expected a text",
		entryWith(`{"method":"GET"}`, someResponse):                                                               "entry 0: request.url: missing",
		entryWith(`{"method":"GET","url":"/contacts"}`, someResponse):                                             "entry 0: request.url: expected an absolute URL",
		entryWith(`{"method":"GET","url":"http://%zz/"}`, someResponse):                                           "entry 0: request.url: expected one such as",
		entryWith(`{"method":"GET","url":"http://a/","headers":{}}`, someResponse):                                "entry 0: request.headers: expected a list",
		entryWith(`{"method":"GET","url":"http://a/","headers":[{"name":"a b"}]}`, someResponse):                  "entry 0: request.headers[0].name: expected a header name",
		entryWith(`{"method":"GET","url":"http://a/","headers":[{"name":"a","value":"\r"}]}`, someResponse):       "entry 0: request.headers[0].value: expected no control characters",
		entryWith(`{"method":"PUT","url":"http://a/","postData":{"text":"?","encoding":"base64"}}`, someResponse): "entry 0: request.postData.text",
		entryWith(someRequest, `{"status":"201"}`):                                                                "entry 0: response.status: expected a number",
		entryWith(someRequest, `{"status":2010}`):                                                                 "entry 0: response.status: expected one from 100 to 999, found 2010",
		entryWith(someRequest, `{"status":201,"content":{"text":7}}`):                                             "entry 0: response.content.text: expected a text",
		entryWith(someRequest, `{"status":201,"content":{"text":"%%","encoding":"base64"}}`):                      "entry 0: response.content.text: illegal base64",
		entryWith(someRequest, `{"status":201,"content":{"text":"x","encoding":"rot13"}}`):                        `entry 0: response.content.text: expected base64, found "rot13"`,
		`{"log":{"entries":[` + strings.Repeat("[", 20_000):                                                       "entry 0",
	} {
		log, err := Read(strings.NewReader(source))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s: %v, want %q", source, err, want)
		}
		if err == nil {
			t.Logf("%+v", log)
		}
	}
}

func TestAFileThatEndsAmongItsEntriesKeepsTheWholeOnes(t *testing.T) {
	whole := entryWith(someRequest, someResponse)
	list := strings.TrimSuffix(whole, "]}}")
	for _, cut := range []string{list, list + ",", list + `,{"request":{"meth`} {
		log, err := Read(strings.NewReader(cut))
		if err != nil || len(log.Entries) != 1 || !log.CutOff {
			t.Errorf("%q: %+v, %v", cut[len(list):], log, err)
		}
	}
}

func TestAFileLargerThanMemoryShouldHoldIsRefused(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"log":{"comment":"`), &letters{})
	if _, err := readUpTo(1<<20, endless); err == nil || !strings.Contains(err.Error(), "at most 1 MiB") {
		t.Error(err)
	}
}

type letters struct{}

func (*letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

func TestARecordingIsReadAsBrowsersAndPostmanWriteIt(t *testing.T) {
	e := read(t, entryWith(`{"method":"POST","url":"https://api.example.com/contacts?x=1#top","httpVersion":"h2","cookies":[],
		"headers":[{"name":":method","value":"POST"},{"name":"content-type","value":"application/json"},{"name":"Content-Length","value":"9"},{"name":"X-A","value":"1\n2"}],
		"queryString":[],"postData":{"mimeType":"application/json","text":"{\"a\":\"ä\"}"},"comment":"c"}`,
		`{"status":201,"headers":[{"name":"Content-Encoding","value":"gzip"},{"name":"content-type","value":"application/json; charset=iso-8859-1; v=2"}],
		"content":{"size":8,"mimeType":"application/json","text":"eyJpZCI6N30=","encoding":"base64"},"_transferSize":1}`))
	if e.Request.URL.String() != "https://api.example.com/contacts?x=1" || string(e.Request.Body) != `{"a":"ä"}` || len(e.Request.Header["X-A"]) != 2 ||
		e.Request.Header[":method"] != nil || e.Request.Header["Content-Length"] != nil {
		t.Errorf("request %+v", e.Request)
	}
	if string(e.Response.Body) != `{"id":7}` || e.Response.Header.Get("Content-Encoding") != "" || e.Response.Omitted != "" {
		t.Errorf("response %+v", e.Response)
	}
	if !e.Started.Equal(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)) || e.Took != 1500*time.Microsecond {
		t.Error(e.Started, e.Took)
	}
}

func TestBodiesAreWhatTheyWereBeforeTheyWereRecorded(t *testing.T) {
	for _, c := range []struct{ name, response, body, coding, media, omitted string }{
		{"a text has no charset left", `{"status":200,"headers":[{"name":"Content-Type","value":"application/json; charset=latin1"}],"content":{"text":"{\"a\":\"ä\"}"}}`, `{"a":"ä"}`, "", "application/json; charset=utf-8", ""},
		{"bytes that are still coded stay so", `{"status":200,"headers":[{"name":"Content-Encoding","value":"gzip"}],"content":{"text":"H4sIAAAA/w==","encoding":"base64"}}`, "\x1f\x8b\x08\x00\x00\x00\xff", "gzip", "", ""},
		{"what is not recorded", `{"status":200,"content":{"size":70,"mimeType":"application/json"}}`, "", "", "application/json", OmittedNotRecorded},
		{"nor here", `{"status":200,"content":{"size":70,"text":""}}`, "", "", "", OmittedNotRecorded},
		{"nothing", `{"status":204,"content":{"size":0,"mimeType":"x-unknown"}}`, "", "", "", ""},
		{"too large", `{"status":200,"content":{"size":70,"_omitted":"too_large"}}`, "", "", "", "too_large"},
	} {
		r := read(t, entryWith(someRequest, c.response)).Response
		if string(r.Body) != c.body || r.Header.Get("Content-Encoding") != c.coding || r.Header.Get("Content-Type") != c.media || r.Omitted != c.omitted {
			t.Errorf("%s: %q, %+v", c.name, r.Body, r)
		}
	}
}

func TestAFormWithoutItsTextIsMadeOfItsParameters(t *testing.T) {
	e := read(t, entryWith(`{"method":"POST","url":"http://a/","postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a","value":"1 2"},{"name":"b","value":"&"}]}}`, someResponse))
	if string(e.Request.Body) != "a=1+2&b=%26" || e.Request.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		t.Errorf("%q %v", e.Request.Body, e.Request.Header)
	}
}

func TestWhatNoServerSeesHasNoURL(t *testing.T) {
	if u := read(t, entryWith(`{"method":"GET","url":"data:text/plain,x"}`, `{"status":0}`)).Request.URL; u != nil {
		t.Error(u)
	}
}

// FuzzHAR: any bytes are a Log or an error, never a panic; and what was read
// can be written and read again.
func FuzzHAR(f *testing.F) {
	f.Add([]byte(entryWith(someRequest, someResponse)))
	f.Add([]byte(entryWith(`{"method":"PUT","url":"http://a/b%2Fc?token=1","headers":[{"name":"Content-Type","value":"text/x; charset=utf-16"}],"postData":{"text":"x","params":[{"name":"a"}]}}`,
		`{"status":200,"headers":[{"name":"Content-Encoding","value":"br"}],"content":{"text":"AAAA","encoding":"base64","size":3}}`)))
	f.Add([]byte(`{"log":{"_basePath":"/v1","entries":[{"_own":true,"_user":"7"`))
	f.Fuzz(func(t *testing.T, source []byte) {
		log, err := Read(strings.NewReader(string(source)))
		if err != nil {
			return
		}
		for _, e := range log.Entries {
			if e.Request.URL == nil {
				continue
			}
			again := rewritten(t, e)
			if again.Request.Method != e.Request.Method || string(again.Response.Body) != string(e.Response.Body) || again.Response.Status != e.Response.Status ||
				http.Header(again.Request.Header).Get("Authorization") != e.Request.Header.Get("Authorization") {
				t.Errorf("%+v became %+v", e, again)
			}
		}
	})
}
