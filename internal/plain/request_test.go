package plain

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const plainGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"

// printable is all of ASCII that may stand in a path as it is.
const printable = "!\"#$&'()*+,-./0123456789:;<=>@ABCXYZ[\\]^_`abcxyz{|}~"

// requests are bytes that clients send, and whether all requests in them are plain.
var requests = map[string]struct {
	sent  string
	plain bool
}{
	"nothing":                   {"", false},
	"a GET":                     {plainGet, true},
	"a GET with a query":        {"GET /a%20b/?x=1&y=%zz HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\naccept: text/html\r\nX-Empty:\r\nX-Space: \t a b \r\n\r\n", true},
	"any byte in a path":        {"GET /" + printable + " HTTP/1.1\r\nHost: a\r\n\r\n", true},
	"a path of marks":           {"GET /$&+,-./:;=@~ HTTP/1.1\r\nHost: a\r\n\r\nGET /a;b=1,2:c@d+e?f=g HTTP/1.1\r\nHost: a\r\n\r\n", true},
	"an empty query":            {"GET /a? HTTP/1.1\r\nHost: a\r\n\r\nGET /a?? HTTP/1.1\r\nHost: a\r\n\r\nGET /a?b#c?d? HTTP/1.1\r\nHost: a\r\n\r\n", true},
	"many fields":               {"GET /a HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: 1\r\nB: 2\r\nC-d: 3\r\n", 30) + "\r\n" + plainGet, true},
	"a kept connection":         {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true},
	"two at once":               {plainGet + plainGet, true},
	"a POST":                    {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", true},
	"a POST, then a GET":        {"POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello" + plainGet, true},
	"a POST without a body":     {"POST /a HTTP/1.1\r\nHost: a\r\n\r\n" + plainGet, true},
	"a POST of 0 bytes":         {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + plainGet, true},
	"a POST cut short":          {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", true},
	"a large POST":              {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000) + plainGet, true},
	"a long head":               {"GET /a HTTP/1.1\r\nHost: a\r\nCookie: " + strings.Repeat("x", 10000) + "\r\n\r\n" + plainGet, true},
	"any method":                {"M-SEARCH /a HTTP/1.1\r\nHost: a\r\n\r\n", true},
	"//":                        {"GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n", true},
	"bytes above 127":           {"GET /\xc3\xa9?\xff HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", true},
	"a very long head":          {"GET /a HTTP/1.1\r\nHost: a\r\nCookie: " + strings.Repeat("x", 20000) + "\r\n\r\n" + plainGet, false},
	"the end in a head":         {"GET /a HTTP/1.1\r\nHos", false},
	"a closing connection":      {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + plainGet, false},
	"chunks":                    {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + plainGet, false},
	"both lengths":              {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + plainGet, false},
	"two lengths":               {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + plainGet, false},
	"two unlike lengths":        {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc" + plainGet, false},
	"a list of lengths":         {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc" + plainGet, false},
	"a signed length":           {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc" + plainGet, false},
	"too large a length":        {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\nabc", false},
	"an endless length":         {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc", false},
	"an empty length":           {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n" + plainGet, false},
	"an expectation":            {"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", false},
	"an upgrade":                {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", false},
	"a named field":             {"GET /a HTTP/1.1\r\nHost: a\r\nConnection: X-A\r\nX-A: 1\r\n\r\n", false},
	"announced trailers":        {"GET /a HTTP/1.1\r\nHost: a\r\nTrailer: X\r\n\r\n", false},
	"Pragma":                    {"GET /a HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n", false},
	"HTTP/1.0":                  {"GET /a HTTP/1.0\r\nHost: a\r\n\r\n", false},
	"HTTP/1.2":                  {"GET /a HTTP/1.2\r\nHost: a\r\n\r\n", false},
	"HTTP/2":                    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},
	"no version":                {"GET /a\r\n\r\n", false},
	"no Host":                   {"GET /a HTTP/1.1\r\nX: y\r\n\r\n", false},
	"an empty Host":             {"GET /a HTTP/1.1\r\nHost:\r\n\r\n", false},
	"two Hosts":                 {"GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", false},
	"a strange Host":            {"GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", false},
	"a URL":                     {"GET http://b/a HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"an asterisk":               {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"CONNECT":                   {"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"a bad escape":              {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"a bare LF in the line":     {"GET /a HTTP/1.1\nHost: a\r\n\r\n", false},
	"bare LFs":                  {"GET /a HTTP/1.1\nHost: a\n\n", false},
	"a bare LF among fields":    {"GET /a HTTP/1.1\r\nHost: a\nX: y\r\n\r\n" + plainGet, false},
	"a bare CR in a value":      {"GET /a HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", false},
	"NUL in a value":            {"GET /a HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", false},
	"a folded value":            {"GET /a HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", false},
	"a folded first":            {"GET /a HTTP/1.1\r\n Host: a\r\n\r\n", false},
	"a space before a colon":    {"GET /a HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", false},
	"no colon":                  {"GET /a HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", false},
	"no name":                   {"GET /a HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", false},
	"two spaces":                {"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"a space behind":            {"GET /a HTTP/1.1 \r\nHost: a\r\n\r\n", false},
	"a space in the target":     {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", false},
	"an empty line before":      {"\r\n" + plainGet, false},
	"an empty line after POST":  {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n" + plainGet, true},
	"two empty lines after it":  {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n\r\n" + plainGet, true},
	"three empty lines":         {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n\r\n\r\n" + plainGet, true},
	"an empty line after GET":   {plainGet + "\r\n" + plainGet, true},
	"three letters more":        {plainGet + "GET", true},
	"three wrong ones":          {plainGet + "?\r\n", true},
	"four letters more":         {plainGet + "GET ", true},
	"TLS":                       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", false},
	"words":                     {"HELP me\r\n", false},
	"a plain one, then another": {plainGet + "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + plainGet, false},
}

// spoken is what came of bytes.
type spoken struct {
	seen    string // by the handler
	answers string
	ours    int // of the requests that the handler saw
	count   int
}

// say sends bytes, ends the sending direction, and reads all there is in answer.
func say(t testing.TB, ours bool, sent string) spoken {
	t.Helper()
	var said spoken
	dumps := make(chan string, 100)
	s := serve(t, ours, func(w http.ResponseWriter, r *http.Request) {
		if isOurs(w) {
			said.ours++
		}
		said.count++
		seen := dump(r)
		dumps <- seen
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "%d", len(seen))
	})
	conn := dial(t, s.addr)
	_, _ = io.WriteString(conn, sent) // a server that refuses may have closed it
	_ = conn.CloseWrite()
	answers, err := io.ReadAll(conn)
	if _, reset := err.(*net.OpError); err != nil && !reset {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(answers), "\n") {
		if !strings.HasPrefix(line, "Date: ") {
			said.answers += line + "\n"
		}
	}
	_ = s.http.Close()
	close(dumps)
	for seen := range dumps {
		said.seen += seen
	}
	return said
}

// Whoever serves a request, the handler sees the same, and so does the client.
func TestARequestIsTheSameAsNetHTTPMakesIt(t *testing.T) {
	for name, c := range requests {
		t.Run(name, func(t *testing.T) {
			ours, theirs := say(t, true, c.sent), say(t, false, c.sent)
			if ours.seen != theirs.seen {
				t.Errorf("the handler saw\n%swhere net/http shows it\n%s", ours.seen, theirs.seen)
			}
			if name == "a POST cut short" { // net/http closes the connection without a word
				ours.answers = strings.Replace(ours.answers, "Connection: close\r\n", "", 1)
			}
			if ours.answers != theirs.answers {
				t.Errorf("the client got\n%swhere it gets of net/http\n%s", ours.answers, theirs.answers)
			}
			if served := ours.count > 0 && ours.ours == ours.count; served != c.plain {
				t.Errorf("%d of %d requests were plain", ours.ours, ours.count)
			}
		})
	}
}

// What arrives in pieces is what arrives at once.
func TestARequestInPiecesIsTheSame(t *testing.T) {
	for name, c := range requests {
		if len(c.sent) > 1000 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			whole := say(t, true, c.sent)
			pieces := make(chan string, len(c.sent)+1)
			var got strings.Builder
			s := serve(t, true, func(w http.ResponseWriter, r *http.Request) { pieces <- dump(r) })
			conn := dial(t, s.addr)
			if err := conn.SetNoDelay(true); err != nil {
				t.Fatal(err)
			}
			for i := range len(c.sent) {
				if _, err := io.WriteString(conn, c.sent[i:i+1]); err != nil {
					break // a server that refuses may have closed it
				}
			}
			_ = conn.CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // how it ends is not looked at here
			_ = s.http.Close()
			close(pieces)
			for seen := range pieces {
				got.WriteString(seen)
			}
			if got.String() != whole.seen {
				t.Errorf("the handler saw\n%swhere it sees all at once\n%s", got.String(), whole.seen)
			}
		})
	}
}

func FuzzARequestIsTheSameAsNetHTTPMakesIt(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.sent))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours, theirs := say(t, true, string(sent)), say(t, false, string(sent))
		if ours.seen != theirs.seen {
			t.Errorf("the handler saw\n%swhere net/http shows it\n%s", ours.seen, theirs.seen)
		}
		if strings.Count(ours.answers, "HTTP/1.1 ") != strings.Count(theirs.answers, "HTTP/1.1 ") {
			t.Errorf("the client got\n%swhere it gets of net/http\n%s", ours.answers, theirs.answers)
		}
	})
}

// A connection that has left us does not come back, and nothing on it is lost.
func TestWhatIsNotPlainIsFollowedByNetHTTP(t *testing.T) {
	served := make(chan bool, 3)
	s := serve(t, true, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		served <- isOurs(w)
	})
	conn := dial(t, s.addr)
	r := bufio.NewReader(conn)
	for i, request := range []string{plainGet, "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", plainGet} {
		fmt.Fprint(conn, request)
		if _, err := answerOf(r, http.MethodGet); err != nil {
			t.Fatal(err)
		}
		if ours := receive(t, served); ours != (i == 0) {
			t.Errorf("request %d: ours %v", i, ours)
		}
	}
}
