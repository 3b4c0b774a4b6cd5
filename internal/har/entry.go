package har

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// entry answers the exchange that an entry of the file stands for.
func (d *document) entry() (Entry, error) {
	e := Entry{User: d.User, Own: d.Own, Took: time.Duration(min(max(d.Time, 0), 1e12) * float64(time.Millisecond))}
	if d.Started != "" {
		var err error
		if e.Started, err = time.Parse(time.RFC3339Nano, d.Started); err != nil {
			return Entry{}, fmt.Errorf("startedDateTime: expected a time such as 2026-01-02T15:04:05.000Z, found %q", short(d.Started))
		}
	}
	if d.Request == nil {
		return Entry{}, errors.New("request: missing")
	}
	if d.Response == nil {
		return Entry{}, errors.New("response: missing")
	}
	var err error
	if e.Request, err = d.Request.read(); err != nil {
		return Entry{}, fmt.Errorf("request.%w", err)
	}
	if e.Response, err = d.Response.read(); err != nil {
		return Entry{}, fmt.Errorf("response.%w", err)
	}
	return e, nil
}

func (q *request) read() (Request, error) {
	r := Request{Method: q.Method}
	switch {
	case q.Method == "":
		return r, errors.New("method: missing")
	case !isToken(q.Method):
		return r, fmt.Errorf("method: expected one such as POST, found %q", short(q.Method))
	case q.URL == "":
		return r, errors.New("url: missing")
	}
	var err error
	if r.URL, err = serverURL(q.URL); err != nil {
		return r, err
	}
	if r.Header, err = headerOf(q.Headers); err != nil {
		return r, err
	}
	if q.PostData != nil {
		if err = q.PostData.read(&r); err != nil {
			return r, fmt.Errorf("postData.%w", err)
		}
	}
	return r, nil
}

// serverURL answers a URL that a server has seen, or nil for another's scheme:
// browsers record data: and the like.
func serverURL(text string) (*url.URL, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
		if !isToken(scheme) || strings.HasPrefix(rest, "//") && rest == "//" {
			return nil, fmt.Errorf("url: expected an absolute URL, found %q", short(text))
		}
		return nil, nil
	}
	text, _, _ = strings.Cut(text, "#")
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("url: expected one such as https://api.example.com/contacts, found %q", short(text))
	}
	return u, nil
}

func (p *postData) read(r *Request) (err error) {
	if r.Header.Get("Content-Type") == "" && p.MimeType != "" {
		r.Header.Set("Content-Type", p.MimeType)
	}
	r.Omitted = p.Omitted
	if p.Text == "" && len(p.Params) > 0 && strings.HasPrefix(p.MimeType, "application/x-www-form-urlencoded") {
		var pairs []string
		for _, param := range p.Params {
			pairs = append(pairs, url.QueryEscape(param.Name)+"="+url.QueryEscape(param.Value))
		}
		r.Body = []byte(strings.Join(pairs, "&"))
		return nil
	}
	if r.Body, err = bodyOf(p.Text, p.Encoding, r.Header); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	return nil
}

func (a *response) read() (Response, error) {
	r := Response{Status: a.Status}
	if a.Status != 0 && (a.Status < 100 || a.Status > 999) { // browsers write 0 where nothing came
		return r, fmt.Errorf("status: expected one from 100 to 999, found %d", a.Status)
	}
	var err error
	if r.Header, err = headerOf(a.Headers); err != nil || a.Content == nil {
		return r, err
	}
	c := a.Content
	if r.Header.Get("Content-Type") == "" && c.MimeType != "" && c.MimeType != "x-unknown" {
		r.Header.Set("Content-Type", c.MimeType)
	}
	r.Omitted, r.Size = c.Omitted, -1
	if c.Omitted != "" && c.Size > 0 {
		r.Size = c.Size
	}
	if c.Text == nil || *c.Text == "" {
		if r.Omitted == "" && c.Size > 0 {
			r.Omitted = OmittedNotRecorded
		}
		return r, nil
	}
	if r.Body, err = bodyOf(*c.Text, c.Encoding, r.Header); err != nil {
		return r, fmt.Errorf("content.text: %w", err)
	}
	return r, nil
}

// framing headers say how a message was carried, which is another matter here.
var framing = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// headerOf leaves out HTTP/2's pseudo-headers (RFC 9113 §8.3), which browsers
// record among the others, and what frames the message.
func headerOf(list []nameValue) (http.Header, error) {
	h := make(http.Header)
	for i, one := range list {
		name := http.CanonicalHeaderKey(one.Name)
		switch {
		case strings.HasPrefix(one.Name, ":") || slices.Contains(framing, name):
		case !isToken(one.Name):
			return nil, fmt.Errorf("headers[%d].name: expected a header name, found %q", i, short(one.Name))
		default:
			// Chrome joins the values of a header that came several times.
			for value := range strings.SplitSeq(one.Value, "\n") {
				if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
					return nil, fmt.Errorf("headers[%d].value: expected no control characters in it", i)
				}
				h.Add(name, value)
			}
		}
	}
	return h, nil
}

// isToken says whether a text can be a header's name or a method (RFC 9110 §5.6.2).
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}
