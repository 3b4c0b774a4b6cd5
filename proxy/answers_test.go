package proxy

import (
	"net/http"
	"strings"
	"testing"
)

const (
	post = "POST /contacts"
	put  = "PUT /contacts/7"
	del  = "DELETE /contacts/7"
)

// utf16le writes ASCII as UTF-16, least byte first.
func utf16le(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteString(text[i:i+1] + "\x00")
	}
	return b.String()
}

func TestEachStatusHasItsEvent(t *testing.T) {
	json := `{"id":7}`
	runCases(t, contacts, []exchangeCase{
		{"200", post, "{}", answering(200, asJSON, json), `contact.create 42/7 {"id":7}`},
		{"201", post, "{}", answering(201, asJSON, json), `contact.create 42/7 {"id":7}`},
		{"203", post, "{}", answering(203, asJSON, json), `contact.create 42/7 {"id":7}`},
		{"204", put, "{}", answering(204, "", ""), `contact.update 42/7 omitted:no_content`},
		{"205", put, "{}", answering(205, "", ""), `contact.update 42/7 omitted:no_content`},
		{"204 to a delete", del, "", answering(204, "", ""), `contact.delete 42/7 {"id":"7"}`},
		{"204 about nothing known", post, "{}", answering(204, "", ""), `contact.create 42/ omitted:no_content parked:resource_unknown`},
		{"201 with a relative Location", post, "{}", answering(201, "Location: contacts/7", ""), `contact.create 42/7 omitted:no_content`},
		{"201 with an absolute path in Location", post, "{}", answering(201, "Location: /contacts/7?x=8#y", ""), `contact.create 42/7 omitted:no_content`},
		{"201 with an internal host in Location", post, "{}", answering(201, "Location: http://contacts.internal:8080/contacts/7", ""), `contact.create 42/7 omitted:no_content`},
		{"201 with a Location under a base path", post, "{}", answering(201, "Location: /base/v1/contacts/7/", ""), `contact.create 42/7 omitted:no_content`},
		{"202", post, "{}", answering(202, asJSON, json), "skipped:status"},
		{"206", post, "{}", answering(206, asJSON, json), "skipped:status"},
		{"207", post, "{}", answering(207, asJSON, json), "skipped:status"},
		{"301", post, "{}", answering(301, "Location: /contacts/7", ""), "skipped:status"},
		{"303", post, "{}", answering(303, "Location: /contacts/7", ""), "skipped:status"},
		{"304", put, "{}", answering(304, "", ""), "skipped:status"},
		{"307", post, "{}", answering(307, "Location: /contacts", ""), "skipped:status"},
		{"308", post, "{}", answering(308, "Location: /contacts", ""), "skipped:status"},
		{"400", post, "{}", answering(400, asJSON, json), "skipped:status"},
		{"409", post, "{}", answering(409, asJSON, json), "skipped:status"},
		{"500", post, "{}", answering(500, asJSON, json), "skipped:status"},
		{"503", post, "{}", answering(503, asJSON, json), "skipped:status"},
	})
}

func TestAStatusThatARuleNamesIsAnEvent(t *testing.T) {
	runCases(t, `rules: [{on: POST /contacts, emit: contact.asked, status: [202, 206, 303]}]`, []exchangeCase{
		{"202", post, "{}", answering(202, asJSON, `{"id":7}`), `contact.asked 42/7 {"id":7}`},
		{"202 with where to ask about it", post, "{}", answering(202, "Location: /jobs/9", ""), `contact.asked 42/ omitted:no_content parked:resource_unknown`},
		{"206", post, "{}", answering(206, asJSON, `{"id":7}`), `contact.asked 42/7 {"id":7}`},
		{"303", post, "{}", answering(303, "Location: /contacts/7", ""), `contact.asked 42/7 omitted:no_content`},
		{"201, no longer named", post, "{}", answering(201, asJSON, `{"id":7}`), "skipped:status"},
	})
}

func TestEachItemOfAListIsAnEvent(t *testing.T) {
	const several = `{"results":[{"id":1,"status":201},{"id":2,"status":409},{"id":3,"status":201}]}`
	runCases(t, `rules: [{on: POST /contacts, emit: contact.create, each: response.body.results, when: {item.status: 201}}]`, []exchangeCase{
		{"207", post, "{}", answering(207, asJSON, several), `contact.create 42/1 {"id":1,"status":201}; contact.create 42/3 {"id":3,"status":201}`},
		{"200", post, "{}", answering(200, asJSON, several), `contact.create 42/1 {"id":1,"status":201}; contact.create 42/3 {"id":3,"status":201}`},
		{"no items", post, "{}", answering(207, asJSON, `{"results":[]}`), "skipped:no_items"},
		{"no list", post, "{}", answering(207, asJSON, `{"id":1}`), "skipped:no_items"},
		{"not whole", post, "{}", answering(207, asJSON, `{"results":[`), "contact.create / omitted:not_json parked:items_unknown"},
		{"too many", post, "{}", answering(200, asJSON, `{"results":[`+strings.Repeat(`{"status":201},`, 1000)+`{}]}`),
			"contact.create / omitted:too_many_items parked:too_many_items"},
	})
	runCases(t, `rules: [{on: POST /contacts, emit: contact.create, each: response.body}]`, []exchangeCase{
		{"an array", post, "{}", answering(200, asJSON, `[{"id":1}, {"id":2}]`), `contact.create 42/1 {"id":1}; contact.create 42/2 {"id":2}`},
	})
}

func TestMaxItemsBoundsEach(t *testing.T) {
	runCases(t, `rules: [{on: POST /contacts, emit: contact.create, each: response.body, max_items: 2}]`, []exchangeCase{
		{"as many", post, "{}", answering(200, asJSON, `[{"id":1},{"id":2}]`), `contact.create 42/1 {"id":1}; contact.create 42/2 {"id":2}`},
		{"one more", post, "{}", answering(200, asJSON, `[{"id":1},{"id":2},{"id":3}]`), "contact.create / omitted:too_many_items parked:too_many_items"},
	})
}

func TestABodyThatCannotBeReadLeavesAnEventWithoutData(t *testing.T) {
	big := `{"id":7,"x":"` + strings.Repeat("y", 5000) + `"}`
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"id":`))
	}
	runCases(t, "capture: {max_body: 4096}\n"+contacts, []exchangeCase{
		{"too large", put, "{}", answering(200, asJSON, big), "contact.update 42/7 omitted:too_large"},
		{"too large, about nothing known", post, "{}", answering(201, asJSON, big), "contact.create 42/ omitted:too_large parked:resource_unknown"},
		{"too large, with Location", post, "{}", answering(201, "Location: /contacts/9\n"+asJSON, big), "contact.create 42/9 omitted:too_large"},
		{"broken off", put, "{}", broken, "contact.update 42/7 omitted:truncated"},
		{"broken off, about nothing known", post, "{}", broken, "contact.create 42/ omitted:truncated parked:resource_unknown"},
		{"gzip", put, "{}", coded(t, "gzip", `{"a":1}`), `contact.update 42/7 {"a":1}`},
		{"br", put, "{}", coded(t, "br", `{"a":1}`), `contact.update 42/7 {"a":1}`},
		{"zstd", put, "{}", coded(t, "zstd", `{"a":1}`), `contact.update 42/7 {"a":1}`},
		{"deflate", put, "{}", coded(t, "deflate", `{"a":1}`), `contact.update 42/7 {"a":1}`},
		{"two layers", put, "{}", coded(t, "gzip, br", `{"a":1}`), `contact.update 42/7 {"a":1}`},
		{"an unknown coding", put, "{}", coded(t, "x-own", `{"a":1}`), "contact.update 42/7 omitted:encoding"},
		{"a bomb", put, "{}", coded(t, "gzip", strings.Repeat(" ", 1<<20)), "contact.update 42/7 omitted:too_large"},
		{"HTML where JSON was due", put, "{}", answering(200, "Content-Type: text/html", "<html>"), "skipped:not_json"},
		{"HTML, and yet created", post, "{}", answering(201, "Content-Type: text/html\nLocation: /contacts/9", "<html>"), "contact.create 42/9 omitted:not_json"},
		{"trailing garbage", put, "{}", answering(200, asJSON, `{"a":1}]`), "contact.update 42/7 omitted:not_json"},
		{"two values", put, "{}", answering(200, asJSON, `{"a":1}{"b":1}`), "contact.update 42/7 omitted:not_json"},
	})
}

func TestCharsetsThatDeclareThemselvesAreReadAndTheOthersLeftOut(t *testing.T) {
	runCases(t, "capture: {max_body: 4096}\n"+contacts, []exchangeCase{
		{"a byte order mark", put, "{}", answering(200, asJSON, "\ufeff{\"a\":\"é\"}"), `contact.update 42/7 {"a":"é"}`},
		{"latin-1", put, "{}", asText("ISO-8859-1", "{\"a\":\"\xe9\"}"), `contact.update 42/7 {"a":"é"}`},
		{"windows-1252", put, "{}", asText("windows-1252", "{\"a\":\"\x80\"}"), `contact.update 42/7 {"a":"€"}`},
		{"a byte that windows-1252 lacks", put, "{}", asText("windows-1252", "{\"a\":\"\x81\"}"), "contact.update 42/7 omitted:encoding"},
		{"UTF-16 with a mark and no word", put, "{}", answering(200, asJSON, "\xff\xfe"+utf16le(`{"a":1}`)), `contact.update 42/7 {"a":1}`},
		{"UTF-16LE", put, "{}", asText("utf-16le", utf16le(`{"a":1}`)), `contact.update 42/7 {"a":1}`},
		{"UTF-16 with a mark", put, "{}", asText("utf-16", "\xfe\xff\x00{\x00\"\x00a\x00\"\x00:\x001\x00}"), `contact.update 42/7 {"a":1}`},
		{"UTF-16 with half a surrogate", put, "{}", asText("utf-16le", utf16le(`{"a":"`)+"\x00\xd8"+utf16le(`"}`)), "contact.update 42/7 omitted:encoding"},
		{"UTF-16 that ends in the middle", put, "{}", asText("utf-16le", utf16le(`{"a":1}`)+" "), "contact.update 42/7 omitted:encoding"},
		{"UTF-16 and gzip", put, "{}", answering(200, asJSON+"; charset=utf-16le\nContent-Encoding: gzip", string(encode(t, "gzip", []byte(utf16le(`{"a":1}`))))),
			`contact.update 42/7 {"a":1}`},
		{"UTF-32", put, "{}", answering(200, asJSON, "\xff\xfe\x00\x00{\x00\x00\x00"), "contact.update 42/7 omitted:encoding"},
		{"another charset", put, "{}", asText("koi8-r", `{"a":1}`), "contact.update 42/7 omitted:encoding"},
		{"not what it says", put, "{}", asText("utf-8", "{\"a\":\"\xe9\"}"), "contact.update 42/7 omitted:encoding"},
		{"too large in UTF-8", put, "{}", asText("latin1", `"`+strings.Repeat("\xe9", 3000)+`"`), "contact.update 42/7 omitted:too_large"},
	})
}

func TestTheOwnerIsNeverAmbiguous(t *testing.T) {
	runCases(t, `rules: [{on: PUT /contacts/7, emit: contact.update, user: response.body.owner.id}]`, []exchangeCase{
		{"once", put, "{}", answering(200, asJSON, `{"owner":{"id":5}}`), `contact.update 5/ {"owner":{"id":5}}`},
		{"twice", put, "{}", answering(200, asJSON, `{"owner":{"id":5,"id":6}}`), `contact.update / {"owner":{"id":5,"id":6}} parked:user_ambiguous`},
		{"twice, once escaped", put, "{}", answering(200, asJSON, `{"owner":{"id":5,"\u0069d":6}}`), `contact.update / {"owner":{"id":5,"\u0069d":6}} parked:user_ambiguous`},
		{"twice on the way", put, "{}", answering(200, asJSON, `{"owner":{"id":5},"owner":{"id":5}}`), `contact.update / {"owner":{"id":5},"owner":{"id":5}} parked:user_ambiguous`},
		{"nowhere", put, "{}", answering(200, asJSON, `{}`), `contact.update / {} parked:user_unknown`},
	})
}

func TestWhatCannotBeCapturedIsNoEvent(t *testing.T) {
	const rule = `rules: [{on: POST /contacts, emit: contact.create, status: [200]}]`
	runCases(t, rule, []exchangeCase{
		{"an event stream", post, "{}", answering(200, "Content-Type: text/event-stream", "data: 1\n\n"), "skipped:event_stream"},
		{"multipart", post, "{}", answering(200, "Content-Type: multipart/mixed; boundary=x", "--x--"), "skipped:multipart"},
		{"gRPC", post, "{}", answering(200, "Content-Type: application/grpc", ""), "skipped:grpc"},
		{"lines of JSON", post, "{}", answering(200, "Content-Type: application/x-ndjson", "{}\n"), "skipped:stream"},
		{"HEAD", "HEAD /contacts", "", answering(200, asJSON, ""), ""},
		{"OPTIONS", "OPTIONS /contacts", "", answering(200, asJSON, ""), ""},
	})
}
